"""What the benchmark computes from what it saw, and the orders that it places."""

import io
import json
import math

import pytest
from rich.console import Console, Group

from benchmarks.driver import Latencies, Throughput
from benchmarks.figures import Figure, Observed, figure, of_pipeline, ratios, summary
from benchmarks.orders import LIMIT_CENTS, order
from benchmarks.pipeline.reactions import REACTIONS, answer
from benchmarks.plots import cpu_plot, latency_plot
from benchmarks.setup import PIPELINE, Setup


def observed(sagas: int, p50_ms: float) -> Observed:
    throughput = Throughput(sagas, 2.0, {"workers": 0.5, "broker": 0.25}, {"workers": 1})
    return Observed(throughput, [Latencies(20, [p50_ms] * 10, 0)])


def test_a_figure_is_the_median_with_its_range() -> None:
    assert figure([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)


def test_what_never_ended_is_null_in_json() -> None:
    text = json.dumps(figure([1.0, math.inf, math.inf]).as_json(), allow_nan=False)
    assert json.loads(text) == {"median": None, "min": 1.0, "max": None}


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([1.0, 20.0, 6.0], [2.0, 40.0, 6.0]) == Figure(0.5, 0.5, 1.0)


def test_the_summary_compares_setups_of_the_same_round() -> None:
    found = summary(
        {
            Setup(system=PIPELINE): [observed(1000, 10.0), observed(100, 20.0)],
            Setup(): [observed(600, 12.0), observed(60, 24.0)],
            Setup(one_process=True): [observed(300, 0.0), observed(30, 0.0)],
        }
    )
    assert found["ratio_sagas_per_s"] == Figure(0.6, 0.6, 0.6)
    assert found["one_process_ratio"].median == pytest.approx(0.3)
    assert found["p50_ratio_20"].median == pytest.approx(1.2)
    assert found["cpu_ms_per_saga"].median == pytest.approx(0.75)


def test_a_setup_is_compared_with_the_pipeline_that_does_the_same_work() -> None:
    rounds = {
        Setup(system=PIPELINE): [observed(1000, 1.0)],
        Setup(system=PIPELINE, payload_bytes=3_000): [observed(500, 1.0)],
        Setup(payload_bytes=3_000): [observed(400, 1.0)],
        Setup(journal="sqlite"): [observed(100, 1.0)],
        Setup(one_process=True): [observed(300, 1.0)],
        Setup(partitions=32): [observed(300, 1.0)],
    }
    shares = {setup.name: of_pipeline(setup, rounds) for setup in rounds}
    assert {name: share.median for name, share in shares.items() if share is not None} == {
        "framework, 3000 bytes": 0.8,
        "framework, journal sqlite": 0.1,
        "framework, one process": 0.3,
    }


def test_percentiles_count_what_never_ended() -> None:
    latencies = Latencies(100, [float(ms) for ms in range(99)], unfinished=1)
    assert latencies.percentile(0.5) == 50.0
    assert latencies.percentile(0.99) == math.inf


@pytest.mark.parametrize(("share", "refused"), [(0.0, 0), (0.1, 100), (0.5, 500)])
def test_a_share_of_the_orders_is_declined_evenly(share: float, refused: int) -> None:
    orders = [order(number, payload_bytes=300, declined=share) for number in range(1000)]
    assert sum(one.amount_cents > LIMIT_CENTS for one in orders) == refused


@pytest.mark.parametrize("size", [300, 3_000, 30_000])
def test_events_have_the_size_that_was_asked_for(size: int) -> None:
    made = order(7, payload_bytes=size, declined=0.1)
    _, payload = answer(
        REACTIONS["shipping"]["payments.PaymentAuthorized.v1"], made._asdict(), None
    )
    encoded = json.dumps(payload, separators=(",", ":"))
    assert abs(len(encoded) - size) <= 10


def drawn(table: Group) -> list[str]:
    written = io.StringIO()
    Console(width=100, file=written).print(table)
    return written.getvalue().splitlines()


def test_bars_are_as_long_as_what_was_spent_and_told_apart_without_colours() -> None:
    rounds = {Setup(system=PIPELINE): [observed(1000, 1.0)], Setup(): [observed(500, 1.0)]}
    lines = drawn(cpu_plot(rounds))
    assert "█ workers" in lines[0]
    framework = lines[-1]
    assert framework.startswith("framework")
    assert (framework.count("█"), framework.count("▓")) == (20, 10), framework
    assert framework.rstrip().endswith("0.75")


def test_what_never_ended_is_said_beside_its_bar() -> None:
    never = Observed(Throughput(1, 2.0, {}, {}), [Latencies(20, [5.0], 1)])
    lines = drawn(latency_plot({Setup(): [never], Setup(system=PIPELINE): [observed(10, 3.0)]}))
    assert any("framework at 20/s" in line and "never" in line for line in lines)
