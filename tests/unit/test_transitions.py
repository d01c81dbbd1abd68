"""The transition table: every pair of situation and arrival, and every reachable state of the order saga
against every event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sagas.core.definition import (
    SAGA_CANCELLED,
    SAGA_PARKED,
    SAGA_RESUMED,
    START,
    STEP_FAILED,
    STEP_TIMED_OUT,
    UNDO_AGAIN,
    UNDO_FAILED,
    Definition,
    Direction,
    Role,
    StepKind,
)
from sagas.core.evolve import arrival_of, evolve, situation_of
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.transitions import TRANSITIONS, Arrival, Effect, Situation, render
from tests.samples import OrderFulfilment

DEFINITION = OrderFulfilment.definition

EFFECTS = {
    Situation.BEFORE_PIVOT: (
        "record turn_back turn_back record turn_back turn_back record turn_back park resume "
        "turn_back turn_back absorb turn_back"
    ),
    Situation.PAST_PIVOT: (
        "record record turn_back record record record record absorb park resume "
        "record record absorb record"
    ),
    Situation.COMPENSATING: (
        "record record record absorb record record record absorb park resume "
        "record record record record"
    ),
    Situation.TURNED_BACK: " ".join(["absorb"] * 11 + ["record"] * 3),
    Situation.COMPLETED: " ".join(["absorb"] * 14),
}
"""The table once more, by hand, in the order of ``Arrival``."""


@pytest.mark.parametrize("situation", Situation)
def test_the_table_says_what_was_decided(situation: Situation) -> None:
    found = " ".join(TRANSITIONS[situation, arrival].effect.name.lower() for arrival in Arrival)
    assert found == EFFECTS[situation]


def test_the_table_is_complete_and_gives_reasons() -> None:
    assert TRANSITIONS.keys() == {(s, a) for s in Situation for a in Arrival}
    assert all(transition.why for transition in TRANSITIONS.values())
    assert len(render().splitlines()) == len(Situation) * len(Arrival) + 2


def every_event(definition: Definition) -> Iterator[Fact]:
    """One of each event that any instance of the saga could ever see."""
    for type_, outcome in definition.outcome_of.items():
        undo = outcome.role is Role.UNDONE
        direction = Direction.UNDO if undo else Direction.FORWARD
        yield Fact(f"id-{type_}", type_, outcome.step, outcome.role, "cause", direction)
    for step in definition.steps[1:]:
        yield Fact(f"failed-{step.name}", STEP_FAILED, step.name, Role.FAILED, "cause")
        yield Fact(f"late-{step.name}", STEP_TIMED_OUT, step.name, Role.FAILED, "cause")
        yield Fact(f"parked-{step.name}", SAGA_PARKED, step.name, Role.PARKED, "cause")
        if step.undone is not None:
            given_up = (step.name, Role.UNDO_FAILED, "cause", Direction.UNDO)
            again = (step.name, Role.AGAIN, "cause", Direction.UNDO)
            undone = (step.undone, step.name, Role.UNDONE, "cause", Direction.UNDO)
            yield Fact(f"given-up-{step.name}", UNDO_FAILED, *given_up)
            yield Fact(f"again-{step.name}", UNDO_AGAIN, *again, epoch=1)
            yield Fact(f"once-more-{step.name}", *undone, epoch=1)
            yield Fact(f"not-even-{step.name}", UNDO_FAILED, *given_up, epoch=1)
    yield Fact("cancelled", SAGA_CANCELLED, START, Role.CANCELLED, "cause")
    yield Fact("resumed", SAGA_RESUMED, START, Role.RESUMED, "cause")


def reachable(definition: Definition, events: tuple[Fact, ...]) -> list[Instance]:
    """Every state that any order of the events leads to, states with the same record counted once."""
    start = Instance(definition, "o1")
    found = {_identity(start): start}
    waiting = [start]
    while waiting:
        instance = waiting.pop()
        for event in events:
            after = evolve(instance, event)
            if _identity(after) not in found:
                found[_identity(after)] = after
                waiting.append(after)
    return list(found.values())


def _identity(instance: Instance) -> object:
    return (
        frozenset(instance.facts),
        instance.phase,
        instance.in_flight,
        frozenset(instance.parked),
    )


@pytest.fixture(scope="module")
def states() -> list[Instance]:
    kept = {
        "orders.OrderPlaced.v1",
        "inventory.StockReserved.v1",
        "inventory.StockUnavailable.v1",
        "inventory.StockReleased.v1",
        "payments.PaymentAuthorized.v1",
        "payments.PaymentDeclined.v1",
        "payments.PaymentVoided.v1",
        "shipping.ShipmentCreated.v1",
        "payments.PaymentCaptured.v1",
        "orders.OrderCancelled.v1",
    }
    kept.add("notifications.CustomerNotified.v1")
    more = {"given-up-reserve_stock", "again-reserve_stock", "once-more-reserve_stock"}
    events = tuple(
        event
        for event in every_event(DEFINITION)
        if (event.type in kept and not event.epoch) or event.id in more
    )
    return reachable(DEFINITION, events)


def test_there_are_states_of_every_situation(states: list[Instance]) -> None:
    assert {situation_of(state) for state in states} == set(Situation)
    assert SagaStatus.FAILED in {state.phase for state in states}


def test_every_state_meets_every_event_as_the_table_says(states: list[Instance]) -> None:
    pairs = 0
    for state in states:
        for event in every_event(DEFINITION):
            pairs += 1
            _check(state, event)
    assert pairs > 10_000


def _check(state: Instance, event: Fact) -> None:
    after = evolve(state, event)
    if event.slot in state.facts:
        assert after is state
        return
    effect = TRANSITIONS[situation_of(state), arrival_of(state, event)].effect
    if effect is Effect.ABSORB:
        assert after is state
        return
    assert after.facts == {**state.facts, event.slot: event}
    assert evolve(after, event) is after, "a duplicate changes nothing"
    assert (event.slot in after.parked) is (effect is Effect.PARK)
    if effect is Effect.TURN_BACK:
        assert after.phase in {
            SagaStatus.COMPENSATING,
            SagaStatus.COMPENSATED,
            SagaStatus.FAILED,
        }
        assert after.turned_by == event.slot
    elif not after.phase.is_terminal:
        assert after.phase is state.phase
    if effect is Effect.RESUME:
        assert after.parked == ()


def test_a_published_mark_is_all_that_a_known_event_can_add(states: list[Instance]) -> None:
    for state in states:
        for slot, fact in state.facts.items():
            marked = evolve(state, fact._replace(published=True))
            assert marked.facts[slot].published
            assert {s: f.id for s, f in marked.facts.items()} == {
                s: f.id for s, f in state.facts.items()
            }
            assert (marked.phase, marked.parked) == (state.phase, state.parked)


def test_the_kinds_of_the_order_saga() -> None:
    assert DEFINITION.kinds == {
        START: StepKind.COMPENSATABLE,
        "reserve_stock": StepKind.COMPENSATABLE,
        "authorize_payment": StepKind.COMPENSATABLE,
        "create_shipment": StepKind.PIVOT,
        "capture_payment": StepKind.RETRIABLE,
        "notify_customer": StepKind.RETRIABLE,
    }


def test_the_fingerprint_changes_with_the_choreography_only() -> None:
    again = Definition(DEFINITION.saga, DEFINITION.key, DEFINITION.steps)
    other = replace(DEFINITION.steps[1], service="warehouse")
    changed = Definition(DEFINITION.saga, DEFINITION.key, (DEFINITION.steps[0], other))
    assert again.fingerprint == DEFINITION.fingerprint
    assert changed.fingerprint != DEFINITION.fingerprint
