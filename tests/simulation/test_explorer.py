"""Random sagas under random schedules, duplicates and crashes: every one ends, and the books balance."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.core.definition import START, Definition, StepDefinition
from sagas.core.instance import SagaStatus
from tests.simulation.checkers import violations
from tests.simulation.definitions import order_fulfilment, random_definition, random_plans
from tests.simulation.model import Model
from tests.simulation.parts import Faults, Plan

SEEDS = st.integers(min_value=0, max_value=2**32)

PARALLEL = Definition(
    "saga",
    "id",
    (
        StepDefinition(name=START, service="a", done=("a.Started.v1",), undone="a.Cancelled.v1"),
        StepDefinition(
            name="quick",
            service="b",
            triggers=("a.Started.v1",),
            done=("b.Quick.v1",),
            refused=("b.No.v1",),
        ),
        StepDefinition(
            name="slow",
            service="c",
            triggers=("a.Started.v1",),
            done=("c.Slow.v1",),
            undone="c.Undone.v1",
        ),
    ),
)
"""One branch refuses while the other is in flight: its undo may overtake its action."""


@settings(max_examples=400, deadline=None)
@given(
    saga=SEEDS,
    plans=SEEDS,
    schedule=SEEDS,
    crashes=st.integers(0, 4),
    duplicates=st.integers(0, 3),
)
def test_every_saga_ends_and_the_books_balance(
    saga: int, plans: int, schedule: int, crashes: int, duplicates: int
) -> None:
    definition = random_definition(saga)
    faults = Faults(crashes=crashes, duplicates=duplicates)
    model = Model(definition, random_plans(definition, plans), seed=schedule, faults=faults).run()
    assert violations(model) == [], model.trace


@settings(max_examples=400, deadline=None)
@given(
    saga=SEEDS,
    plans=SEEDS,
    schedule=SEEDS,
    crashes=st.integers(0, 4),
    timers=st.integers(0, 4),
    cancels=st.integers(0, 1),
    later=st.integers(0, 4),
)
def test_so_it_does_with_waits_timeouts_and_cancellation(  # noqa: PLR0917 - drawn, not called
    saga: int, plans: int, schedule: int, crashes: int, timers: int, cancels: int, later: int
) -> None:
    definition = random_definition(saga, alternatives=True)
    faults = Faults(
        crashes=crashes,
        duplicates=2,
        timers=timers,
        cancels=cancels,
        agains=timers,
        postponements=later,
    )
    model = Model(definition, random_plans(definition, plans), seed=schedule, faults=faults).run()
    assert violations(model) == [], model.trace


@settings(max_examples=200, deadline=None)
@given(saga=SEEDS, plans=SEEDS, schedule=SEEDS)
def test_duplicates_change_nothing(saga: int, plans: int, schedule: int) -> None:
    definition = random_definition(saga)
    planned = random_plans(definition, plans)
    once = Model(definition, dict(planned), seed=schedule).run()
    often = Model(definition, dict(planned), seed=schedule, faults=Faults(duplicates=8)).run()
    assert violations(often) == []
    assert once.row is not None
    assert often.row is not None
    if _certain(definition, planned):
        assert often.row.status is once.row.status
        assert {f.id for f in often.log} == {f.id for f in once.log}


def _certain(definition: Definition, plans: dict[str, Plan]) -> bool:
    """Whether the outcome hangs neither on which of two branches is quicker, nor on a second chance: one
    step at most is refused, no other can be in flight beside it, and none fails, because the journal may
    know of an effect when a duplicate, or an operator, has the step run again.
    """
    not_done = [name for name, plan in plans.items() if plan.kind != "done"]
    if any(plans[name].kind == "failed" for name in not_done):
        return False
    steps = [step.name for step in definition.steps[1:]]
    beside = any(definition.beside(name, step) for name in not_done for step in steps)
    return len(not_done) <= 1 and not beside


@pytest.mark.parametrize("failing", ["reserve_stock", "authorize_payment", None])
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_one_crash_at_every_call_of_the_order_saga(failing: str | None, *, after: bool) -> None:
    definition = order_fulfilment()
    for seed in range(10):
        calls = _run(definition, failing, seed, Faults()).calls
        for crash_at in range(1, calls + 1):
            faults = Faults(crash_at=crash_at, crash_after=after)
            model = _run(definition, failing, seed, faults)
            assert violations(model) == [], (seed, crash_at, model.trace)
            assert model.row is not None
            expected = SagaStatus.COMPENSATED if failing else SagaStatus.COMPLETED
            assert model.row.status is expected, (seed, crash_at, model.trace)


@pytest.mark.parametrize("failing", ["reserve_stock", "authorize_payment", None])
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_one_crash_at_every_call_while_attempts_wait(failing: str | None, *, after: bool) -> None:
    definition, postponed = order_fulfilment(), 0
    for seed in range(10):
        model = _run(definition, failing, seed, Faults(postponements=2))
        postponed += model.seen["postponed"]
        for crash_at in range(1, model.calls + 1):
            faults = Faults(crash_at=crash_at, crash_after=after, postponements=2)
            crashed = _run(definition, failing, seed, faults)
            assert violations(crashed) == [], (seed, crash_at, crashed.trace)
    assert postponed > 0


def _run(definition: Definition, failing: str | None, seed: int, faults: Faults) -> Model:
    plans = {failing: Plan("refused")} if failing else {}
    return Model(definition, plans, seed=seed, faults=faults).run()


def test_the_campaign_sees_what_it_is_there_to_see() -> None:
    """A campaign in which nothing interesting happens proves nothing."""
    seen: Counter[str] = Counter()
    faults = Faults(crashes=3, duplicates=2, timers=3, cancels=1, agains=2, postponements=1)
    for seed in range(4000):
        definition = random_definition(seed, alternatives=seed % 2 > 0) if seed % 3 else PARALLEL
        plans = (
            random_plans(definition, seed, undos_fail=True)
            if seed % 3
            else {"quick": Plan("refused")}
        )
        model = Model(definition, plans, seed=seed, faults=faults).run()
        assert violations(model) == [], (seed, model.trace)
        seen.update(model.seen)
        seen[model.row.status if model.row else "nothing"] += 1
    interesting = {
        "crash",
        "postponed",
        "duplicate",
        "conflict",
        "repeated",
        "null compensation",
        "tombstone",
        "undone",
        "parked",
        "resumed",
        "cancelled",
        "otherwise",
        "answer",
        "timer of a step",
        "timer deadline",
        "timer proof",
        "undo fails",
        "undo-failed",
        "again",
        "superseded",
        "COMPLETED",
        "COMPENSATED",
        "FAILED",
    }
    assert interesting <= seen.keys(), interesting - seen.keys()


def test_what_a_process_remembers_holds_nothing_back() -> None:
    """An answer that came early has to be told again, also by a process that was told that it is on Kafka:
    in the first of these nothing at all goes wrong, and the saga was left running.
    """
    for seed in (2122, *range(1500)):
        definition = random_definition(seed, alternatives=True)
        faults = Faults(crashes=2, duplicates=2, timers=3, cancels=1) if seed < 1500 else Faults()
        plans = random_plans(definition, seed)
        model = Model(definition, plans, seed=seed, faults=faults, remembers_acknowledged=True)
        assert violations(model.run()) == [], (seed, model.trace)
