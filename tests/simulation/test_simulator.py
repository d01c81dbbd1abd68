"""The simulator itself: one seed is one run, every fault happens, and what is wrong is told."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas import Event, Saga, Service, Start, Step, StepContext
from sagas.adapters.memory.journal import MemoryJournal
from sagas.core.errors import ContractViolation
from sagas.runtime.rebuild import Rebuild
from sagas.testing.simulation import Faults, Outcome, Setting, Simulation, simulate
from sagas.testing.simulation.faults import NAMES
from sagas.testing.simulation.loop import Livelock, SeededLoop, run
from sagas.testing.simulation.report import INTERESTING
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.sagas_of_others.customers_and_orders import customers_and_orders
from tests.simulation.workloads.generated import generated_workload, saga_of, setting_of
from tests.simulation.workloads.orders import orders_workload
from tests.simulation.workloads.rolling import rolling_workload

SET_BACK = (29, 33, 42, 58)
"""Seeds of either workload in which a group's offsets are set back, partition by partition."""
SEEDS = st.integers(min_value=0, max_value=2**32)


def told(outcome: Outcome) -> str:
    """Everything that a run did, in one line."""
    return hashlib.sha256(
        repr((outcome.moments, sorted(outcome.seen.items()))).encode()
    ).hexdigest()


def digest() -> str:
    runs = [
        told(Simulation(workload, sagas_per_seed=2).run(seed))
        for seed in (*range(12), *SET_BACK)
        for workload in (orders_workload, generated_workload)
    ]
    return hashlib.sha256("".join(runs).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["1", "77"])
def test_the_same_seed_is_the_same_run_in_another_process(hash_seed: str) -> None:
    code = "from tests.simulation.test_simulator import digest\nprint(digest())"
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert elsewhere.stdout.strip() == digest()


def test_another_seed_is_another_run() -> None:
    assert len({told(Simulation(orders_workload).run(seed)) for seed in range(10)}) == 10


def test_services_are_rolled_into_their_next_version_while_sagas_run() -> None:
    """F16, I14: versions n and n + 1 mixed, among all other faults."""
    report = Simulation(rolling_workload, sagas_per_seed=2).campaign(range(100), jobs=2)
    assert report.ok, report
    assert report.missing("deployments", "COMPLETED", "COMPENSATED") == []


def test_a_next_version_of_an_unknown_service_is_told() -> None:
    setting = rolling_workload(1)
    with pytest.raises(ContractViolation, match="next_services names nobody"):
        replace(setting, next_services=[Service("nobody")])


def test_every_fault_happens_and_everything_interesting_is_seen() -> None:
    """A campaign in which nothing interesting happens proves nothing."""
    report = Simulation(orders_workload, sagas_per_seed=2).campaign(range(180), jobs=2)
    report.add(Simulation(customers_and_orders, sagas_per_seed=3).campaign(range(180), jobs=2))
    assert report.ok, report
    survived = set(NAMES) - {"deletions", "deployments"}
    assert report.missing(*sorted(survived)) == []
    assert report.missing("wiped", "rolled back", "rebuild") == []
    for call in ("load", "store", "publish", "commit", "forward", "undo", "start", "poll"):
        assert report.missing(f"{call} lost") == []
    assert report.missing("a worker joins", "a worker leaves", "a worker is taken for dead") == []
    assert report.missing(*(set(INTERESTING) - {"tombstone", "timer race"})) == []


def test_what_is_not_survived_yet_is_off_and_is_noticed() -> None:
    simulation = Simulation(orders_workload, faults=Faults.of(["deletions"]))
    assert any(simulation.run(seed).violations for seed in range(40))
    assert Faults().deletions == 0


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(6753, id="a wait is answered twice, with different choices"),
        pytest.param(11767, id="an answer that nobody waited for comes after the end"),
        pytest.param(34019, id="a late success is undone after its undo was given up"),
    ],
)
def test_runs_that_looked_broken_once(seed: int) -> None:
    assert Simulation(generated_workload).run(seed).violations == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(saga=SEEDS, plans=SEEDS, seed=SEEDS, alternatives=st.booleans())
def test_generated_sagas_end_and_their_books_balance(
    saga: int, plans: int, seed: int, alternatives: bool
) -> None:
    definition = random_definition(saga, alternatives=alternatives)
    built = saga_of(definition)
    simulation = Simulation(lambda _: setting_of(built, random_plans(definition, plans)))
    assert simulation.run(seed).violations == []


def test_a_table_that_does_not_come_back_from_the_topics_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(Rebuild, "run", nothing)
    outcome = Simulation(orders_workload, faults=Faults.none()).run(0)
    assert outcome.violations == ["I13: order-fulfilment o-1 is not there after a rebuild"]


# --- what is wrong is told --------------------------------------------------------------------------


class Asked(Event, type="front.Asked.v1"):
    id: str


class Given(Event, type="shelf.Given.v1"):
    id: str


class TakenBack(Event, type="shelf.TakenBack.v1"):
    id: str


class Paid(Event, type="till.Paid.v1"):
    id: str


class NotPaid(Event, type="till.NotPaid.v1"):
    id: str


class Withdrawn(Event, type="front.Withdrawn.v1"):
    id: str


class Sale(Saga):
    key = "id"
    start = Start(Asked, by="front", undone=Withdrawn)
    give = Step(by="shelf", on=Asked, done=Given, undone=TakenBack)
    pay = Step(by="till", on=Given, done=Paid, refused=NotPaid, pivot=True)


def sale(*, forgets: bool = False, silent: bool = False) -> list[Service]:
    front, shelf, till = Service("front"), Service("shelf"), Service("till")

    @front.undoes(Sale.start)
    async def withdraw(asked: Asked, context: StepContext) -> Withdrawn:
        return Withdrawn(id=asked.id)

    @shelf.performs(Sale.give)
    async def give(asked: Asked, context: StepContext) -> Given:
        context.resource(list).append(1)
        if forgets:
            await asyncio.sleep(0.01)  # an effect outside of the transaction, and then an await
        return Given(id=asked.id)

    @shelf.undoes(Sale.give)
    async def take_back(asked: Asked, given: Given | None, context: StepContext) -> TakenBack:
        if not silent:
            context.resource(list).append(-1)
        return TakenBack(id=asked.id)

    @till.performs(Sale.pay)
    async def pay(given: Given, context: StepContext) -> Paid | NotPaid:
        return NotPaid(id=given.id)

    return [front, shelf, till]


def sales(services: list[Service]) -> Setting:
    moved: list[int] = []

    def balanced() -> Iterator[str]:
        if sum(moved):
            yield f"{sum(moved)} pieces are gone, and nothing was sold"

    return Setting(
        services=services,
        resources={one.name: [MemoryJournal(), moved] for one in services},
        check=balanced,
    )


def test_a_compensation_that_undoes_nothing_is_found() -> None:
    services = sale(silent=True)
    report = Simulation(lambda _: sales(services), again="sagas simulate shop:sales").campaign(
        range(5)
    )
    assert report.failed == 5
    failure = report.failures[0]
    assert "I12: 1 pieces are gone, and nothing was sold" in failure.violations
    assert failure.faults == ()
    assert failure.command == "sagas simulate shop:sales --seed 0 --faults none"
    assert failure.diagram.startswith("sequenceDiagram\n")
    assert "front-)shelf:" in failure.diagram
    with pytest.raises(AssertionError, match="5 of 5 runs failed"):
        report.raise_for_failures()


def test_an_effect_outside_of_the_transaction_is_found_by_a_crash_at_every_call() -> None:
    services = sale(forgets=True)
    enumerated = Simulation(lambda _: sales(services), faults=Faults.of(["crashes", "exceptions"]))
    assert not enumerated.campaign(range(300), jobs=2).ok


def test_services_without_a_journal_are_judged_by_their_last_call() -> None:
    def workload(seed: int) -> Setting:
        setting = orders_workload(seed)
        return replace(setting, resources={**setting.resources, "notifications": []})

    report = Simulation(workload).campaign(range(40))
    assert report.ok, report


def test_services_are_enough_where_the_schemas_say_it_all() -> None:
    report = simulate(sale(), resources=lambda: sales(sale()).resources, seeds=range(10))
    assert report.ok, report
    assert report.seen["COMPENSATED"] == 10


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"services": sale()[:2]}, "but till take part, too"),
        ({"services": [Service("nobody")]}, "none of which takes part in a saga"),
        ({"services": sale(), "resources": {"tilt": []}}, "names tilt, which is none of"),
    ],
)
def test_what_can_not_be_run_is_said(given_: dict[str, object], said: str) -> None:
    with pytest.raises(ContractViolation, match=said):
        Setting(**given_)  # type: ignore[arg-type]


def test_unknown_faults_are_said() -> None:
    with pytest.raises(ContractViolation, match="There is no fault earthquakes; there are dupl"):
        Faults.of(["earthquakes"])


def test_a_fault_less_leaves_the_rest_of_the_run_as_it_was() -> None:
    with_, without = (
        Simulation(orders_workload, faults=faults).run(5)
        for faults in (Faults(), replace(Faults(), deletions=0))
    )
    assert told(with_) == told(without)


# --- the loop ---------------------------------------------------------------------------------------


def test_who_wakes_each_other_without_end_is_stopped() -> None:
    async def story() -> None:
        while True:  # noqa: ASYNC110 - the point of it
            await asyncio.sleep(0)

    with pytest.raises(Livelock, match="no end of it"):
        run(story())


def test_nobody_can_go_on() -> None:
    async def story() -> None:
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="everybody waits"):
        run(story())


def test_days_cost_nothing_and_threads_run_in_place() -> None:
    async def story() -> tuple[float, int]:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time(), await asyncio.to_thread(lambda: 7)

    assert run(story()) == (86_400.0, 7)


def test_the_order_is_drawn() -> None:
    async def story() -> tuple[int, ...]:
        order: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(*map(one, range(5)))
        return tuple(order)

    assert len({run(story(), seed=seed) for seed in range(20)}) > 5
    assert issubclass(SeededLoop, asyncio.BaseEventLoop)
