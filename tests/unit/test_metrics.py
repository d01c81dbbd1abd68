"""What is counted, and the closed set of its names: code, set and document agree."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from sagas import (
    NOTHING,
    Event,
    Retry,
    Saga,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    seconds,
)
from sagas.application import client_of, embedded_platform, run_services
from sagas.core.errors import InvalidMessage
from sagas.core.instance import SagaStatus
from sagas.observability.metrics import METRICS, Kind, MetricName
from sagas.observability.prometheus import CONTENT_TYPE, Metrics
from sagas.ports import OutgoingRecord, TableUnavailable
from sagas.runtime.assembly import Platform, ServiceRunner
from sagas.runtime.gauging import Gauging
from sagas.runtime.retry_topics import RetrySettings
from sagas.runtime.timed import timed_table
from sagas.telemetry import measured
from sagas.web.livez import livez_app
from sagas.web.metrics import metrics_route
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 30

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Running:
    """Services on a measured platform in memory."""

    platform: Platform
    metrics: Metrics
    runners: list[ServiceRunner]


Run = Callable[[list[Service]], Awaitable[Running]]


@pytest.fixture
async def running() -> AsyncIterator[Run]:
    """Starts services, and stops them after the test."""
    stop = asyncio.Event()
    started: list[asyncio.Task[None]] = []
    async with embedded_platform() as platform:

        async def run(services: list[Service]) -> Running:
            metrics, joined = Metrics(), asyncio.Event()
            tiers = RetrySettings(tiers_ms=(50,), in_process_max_ms=10)
            there = replace(measured(platform, metrics), retries=tiers)
            runners: list[ServiceRunner] = []
            work = run_services(
                services, there, stop=stop, on_created=runners.extend, on_running=joined.set
            )
            started.append(asyncio.create_task(work))
            async with asyncio.timeout(DEADLINE_S):
                await joined.wait()
            for runner in runners:
                metrics.watch(
                    runner.service.name,
                    lambda runner=runner: runner.worker,  # type: ignore[misc]
                    stalled_after_ms=90_000,
                )
            return Running(there, metrics, runners)

        yield run
        stop.set()
        await asyncio.gather(*started)


def samples(metrics: Metrics) -> Samples:
    """The page, read as Prometheus does."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The sum of the series that have these labels."""
    wanted = set(labels.items())
    return sum(
        number for (named, of), number in samples(metrics).items() if named == name and wanted <= of
    )


async def test_a_run_with_failures_is_counted(running: Run) -> None:
    shop = Shop(declined=frozenset({"o-2"}))
    there = await running(shop.services)
    client = client_of(there.platform, [OrderFulfilment])
    for number in range(1, 4):
        await client.start(OrderPlaced(order_id=f"o-{number}"))
    statuses = [
        (await client.wait_for_end(OrderFulfilment, f"o-{number}", timeout_s=DEADLINE_S)).status
        for number in range(1, 4)
    ]
    assert statuses == [SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.COMPLETED]
    saga, metrics = OrderFulfilment.definition.saga, there.metrics
    assert value(metrics, "sagas_started_total", saga=saga) == 3
    assert value(metrics, "sagas_ended_total", status="COMPLETED") == 2
    assert value(metrics, "sagas_ended_total", status="COMPENSATED") == 1
    assert value(metrics, "sagas_turned_back_total", reason="refused") == 1
    assert value(metrics, "sagas_duration_seconds_count", saga=saga) == 3
    outcomes = {
        outcome: value(
            metrics, "sagas_step_outcomes_total", step="authorize_payment", outcome=outcome
        )
        for outcome in ("done", "refused", "failed")
    }
    assert outcomes == {"done": 2, "refused": 1, "failed": 0}
    for step in ("reserve_stock", "start"):
        undone = value(metrics, "sagas_compensations_total", step=step, outcome="undone")
        assert undone == 1, step
    assert value(metrics, "sagas_attempts_total", step="reserve_stock", direction="forward") == 3
    assert value(metrics, "sagas_attempts_total", result="failed") == 0
    steps = value(metrics, "sagas_step_duration_seconds_count", direction="forward")
    assert steps == value(metrics, "sagas_step_outcomes_total")
    assert value(metrics, "sagas_message_delay_seconds_count", service="payments") > 0
    for call in ("load", "store"):
        assert value(metrics, "sagas_table_call_duration_seconds_count", call=call) > 0
    assert value(metrics, "sagas_broker_call_duration_seconds_count", call="publish") > 0
    assert value(metrics, "sagas_worker_running") == len(shop.services)
    page = metrics.page().decode()
    assert "o-2" not in page, "no label names an instance"


class Placed(Event, type="desk.Placed.v1"):
    id: str


class Booked(Event, type="hotel.Booked.v1"):
    id: str


class Trip(Saga):
    key = "id"
    start = Start(Placed, by="desk", undone=NOTHING)
    book = Step(
        by="hotel",
        on=Placed,
        done=Booked,
        pivot=True,
        retry=Retry(attempts=3, backoff=seconds(0.05), factor=1, jitter=0),
    )


async def test_attempts_parkings_and_dead_letters(running: Run) -> None:
    hotel = Service("hotel")

    @hotel.performs(Trip.book)
    async def book(placed: Placed, context: StepContext) -> Booked:
        raise ConnectionError("full")

    there = await running([hotel])
    client = client_of(there.platform, [Trip])
    await client.start(Placed(id="1"))
    broker, topics = there.platform.broker, there.platform.topics
    poison = ("ce_type", Placed.event_type.encode())
    await broker.publish(OutgoingRecord(topics.events("desk"), b"2", b"[]", (poison,)))
    async with asyncio.timeout(DEADLINE_S):
        while True:
            view = await client.get(Trip, "1")
            parked = view is not None and view.status is SagaStatus.PARKED
            if parked and value(there.metrics, "sagas_dead_letters_total"):
                break
            await asyncio.sleep(0.01)
    metrics = there.metrics
    assert value(metrics, "sagas_attempts_total", step="book", result="failed") == 3
    assert value(metrics, "sagas_retries_scheduled_total", step="book") == 2
    assert value(metrics, "sagas_parked_total", step="book") == 1
    error = InvalidMessage.__name__
    assert value(metrics, "sagas_dead_letters_total", service="hotel", error=error) == 1


class Answered(Event, type="desk.Answered.v1"):
    id: str


class Assumed(Event, type="desk.Assumed.v1"):
    id: str


class Asking(Saga):
    key = "id"
    start = Start(Placed, by="desk", undone=NOTHING)
    ask = Wait(by="desk", on=Placed, done=Answered, timeout=seconds(0.01), otherwise=Assumed)


async def test_timers_say_how_late_they_are(running: Run) -> None:
    desk = Service("desk")

    desk.completes(Asking.ask)
    there = await running([desk])
    client = client_of(there.platform, [Asking])
    await client.start(Placed(id="1"))
    await client.wait_for_end(Asking, "1", timeout_s=DEADLINE_S)
    late = value(there.metrics, "sagas_timer_lateness_seconds_count", saga="asking")
    assert late == 1
    assert value(there.metrics, "sagas_step_outcomes_total", step="ask", outcome="otherwise") == 1


async def test_how_things_stand_is_told_by_who_is_on_duty(running: Run) -> None:
    shop = Shop()
    there = await running(shop.services)
    metrics, platform = there.metrics, there.platform
    assert platform.listing is not None
    client = client_of(platform, [OrderFulfilment])
    await client.start(OrderPlaced(order_id="o-1"))
    await client.wait_for_end(OrderFulfilment, "o-1", timeout_s=DEADLINE_S)
    runner = next(one for one in there.runners if one.service.name == "inventory")
    duty = Duty(is_on_duty=True)
    gauging = Gauging(
        "inventory",
        metrics,
        sagas=[OrderFulfilment],
        duties=[duty],  # type: ignore[list-item]
        worker=lambda: runner.worker,
        table=platform.table,
        listing=platform.listing,
        clock=platform.clock,
    )
    await gauging.look()
    saga = OrderFulfilment.definition.saga
    assert value(metrics, "sagas_unfinished", saga=saga, status="RUNNING") == 0
    assert value(metrics, "sagas_oldest_unfinished_seconds", saga=saga) == 0
    assert value(metrics, "sagas_timer_duty", service="inventory", saga=saga) == 1
    lags = {of for name, of in samples(metrics) if name == "sagas_consumer_lag_records"}
    assert {dict(of)["service"] for of in lags} >= {"inventory"}
    duty.is_on_duty = False
    await gauging.look()
    told = {name for name, of in samples(metrics) if ("saga", saga) in of}
    assert "sagas_unfinished" not in told, "somebody else tells it now"
    assert value(metrics, "sagas_timer_duty", service="inventory", saga=saga) == 0


@dataclass
class Duty:
    """A share in the duty of timers, without any timers."""

    is_on_duty: bool
    saga: str = OrderFulfilment.definition.saga


async def test_the_page_is_answered_beside_livez() -> None:
    metrics = Metrics()
    app: Starlette = livez_app(list, [metrics_route(metrics)])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        answer = await client.get("/metrics")
        assert (await client.get("/livez")).status_code == 200
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert "process_cpu_seconds_total" in answer.text


async def test_a_call_that_fails_is_timed_as_such() -> None:
    told: list[tuple[str, float, bool]] = []

    class Away:
        async def load(self, saga: str, saga_id: str, *, events: bool = False) -> None:
            raise TableUnavailable(saga_id)

        store = annotate = forget_events = due_timers = load

        def generation(self, saga: str, saga_id: str) -> int:
            return 7

    def tell(call: str, took_s: float, *, failed: bool) -> None:
        told.append((call, took_s, failed))

    moments = iter((1.0, 3.5))
    table = timed_table(Away(), tell, lambda: next(moments))  # type: ignore[arg-type]
    with pytest.raises(TableUnavailable):
        await table.load("s", "1")
    assert told == [("load", 2.5, True)]
    assert table.generation("s", "1") == 7


# --- the names ------------------------------------------------------------------------------------


def test_every_metric_is_described() -> None:
    assert METRICS.keys() == set(MetricName)
    for name, metric in METRICS.items():
        assert name.endswith("_total") is (metric.kind is Kind.COUNTER), name
        assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM), name
        assert list(metric.buckets) == sorted(metric.buckets), name
        assert not {"saga_id", "tenant", "message_id", "key"} & set(metric.labels), name


def test_the_page_has_these_metrics_and_no_others() -> None:
    metrics = Metrics()
    metrics.watch("orders", lambda: None, stalled_after_ms=1)
    page = metrics.page().decode()
    families = {
        found["name"]: found["kind"]
        for found in re.finditer(r"^# TYPE (?P<name>sagas_\w+) (?P<kind>\w+)$", page, re.MULTILINE)
    }
    assert families == {name.value: METRICS[name].kind.value for name in MetricName}


def test_the_document_has_these_metrics_and_no_others() -> None:
    text = (ROOT / "docs/reference/metrics.md").read_text()
    row = re.compile(r"^\| `(sagas_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", re.MULTILINE)
    documented = {name: (kind, labels, said) for name, kind, labels, said in row.findall(text)}
    assert documented == {
        name.value: (
            metric.kind.value,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.meaning,
        )
        for name, metric in METRICS.items()
    }
