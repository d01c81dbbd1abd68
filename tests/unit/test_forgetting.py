"""Which events a row keeps no bytes of, and what is left of a start."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import Field

from sagas import Event
from sagas.core.definition import SAGA_CANCELLED, START, Direction, Role
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.position import Position
from sagas.runtime.forgetting import content_of, forgettable, is_leaf, kept
from tests.samples import OrderFulfilment
from tests.simulation.purchase import Purchase

PLACED, PAID, REFUNDED = "front.Placed.v1", "till.Paid.v1", "till.Refunded.v1"
SHIPPED, UNSHIPPABLE = "depot.Shipped.v1", "depot.Unshippable.v1"
DEFINITION = Purchase.definition


def instance_of(*facts: Fact) -> Instance:
    instance = Instance(DEFINITION, "p")
    for fact in facts:
        instance = evolve(instance, fact)
    return instance


def done(type_: str, step: str, cause: str | None, *, published: bool = False) -> Fact:
    role = {REFUNDED: Role.UNDONE, UNSHIPPABLE: Role.REFUSED}.get(type_, Role.DONE)
    direction = Direction.UNDO if role is Role.UNDONE else Direction.FORWARD
    return Fact(f"id {type_}", type_, step, role, cause, direction, published=published)


START_ = done(PLACED, START, None)
PAY = done(PAID, "pay", START_.id)
SHIP = done(SHIPPED, "ship", PAY.id)
REFUSE = done(UNSHIPPABLE, "ship", PAY.id)
REFUND = done(REFUNDED, "pay", REFUSE.id)


def test_what_nothing_follows_is_a_leaf() -> None:
    assert DEFINITION.leaves == {SHIPPED, REFUNDED}
    assert {one.split(".")[1] for one in OrderFulfilment.definition.leaves} == {
        *("PaymentCaptured", "CustomerNotified"),
        *("StockReleased", "PaymentVoided", "OrderCancelled"),
    }, "an answer to a wait is told again, and what is read or can be undone is given to a handler"


def test_an_undone_event_that_turned_the_saga_back_is_none() -> None:
    early = instance_of(START_, PAY, REFUND)
    assert early.turned_by == REFUNDED
    assert not is_leaf(early, REFUND)
    late = instance_of(START_, PAY, REFUSE, REFUND)
    assert is_leaf(late, REFUND)
    assert not is_leaf(late, REFUSE)


def test_of_what_has_ended_all_that_is_proven_is_forgotten() -> None:
    ended = instance_of(START_, PAY, SHIP)
    assert ended.status is SagaStatus.COMPLETED
    assert forgettable(Position.of(ended), set()) == [PLACED, PAID], (
        "nobody names the last one as its cause"
    )
    assert forgettable(Position.of(ended), {SHIP.id}) == [PLACED, PAID, SHIPPED]
    marked = instance_of(START_, PAY, SHIP._replace(published=True))
    assert forgettable(Position.of(marked), set()) == [PLACED, PAID, SHIPPED]


def test_what_says_why_it_was_turned_back_stays() -> None:
    ended = instance_of(START_, PAY, REFUSE, REFUND)
    assert ended.status is SagaStatus.COMPENSATED
    assert forgettable(Position.of(ended), {REFUND.id}) == [PLACED, PAID, REFUNDED]
    cancelled = Fact("c", SAGA_CANCELLED, START, Role.CANCELLED, "ann", published=True)
    refund = REFUND._replace(cause="c", published=True)
    ended = instance_of(START_, PAY, cancelled, refund)
    assert ended.status is SagaStatus.COMPENSATED
    assert forgettable(Position.of(ended), set()) == [PLACED, REFUNDED], (
        "nobody named the payment: it stays"
    )


def test_what_is_put_back_keeps_what_may_still_be_needed() -> None:
    def left(*facts: Fact) -> list[str]:
        instance = instance_of(*facts)
        return list(kept(instance, dict.fromkeys(instance.facts, b"bytes")))

    published = [one._replace(published=True) for one in (START_, PAY, SHIP)]
    assert left(*published[:2]) == [PLACED, PAID]
    assert left(*published) == []
    assert left(*published[:2], SHIP) == [SHIPPED], "the row is all that has it"


class Basket(Event, type="front.Basket.v1"):
    id: str
    tags: frozenset[str] = frozenset()
    counts: dict[str, int] = Field(default_factory=dict)
    note: str = ""


def test_the_digest_of_a_start_is_of_what_it_says() -> None:
    one = Basket(id="1", tags=frozenset("abcdefgh"), counts={"x": 1, "y": 2})
    other = Basket.model_validate_json(
        '{"counts": {"y": 2, "x": 1},  "tags": ["h", "g", "f", "e", "d", "c", "b", "a"], "id": "1", "new": 3}'
    )
    assert one == other
    assert content_of(one) == content_of(other)
    assert content_of(one) != content_of(one.model_copy(update={"counts": {"x": 1, "y": 3}}))
    assert content_of(one) != content_of(one.model_copy(update={"note": "n"}))


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_process_finds_the_same_digest(seed: str) -> None:
    """Sets of texts are ordered by a hash that each process has of its own."""
    code = (
        "from tests.unit.test_forgetting import *; "
        "print(content_of(Basket(id='1', tags=frozenset('abcdefgh'))))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
        text=True,
    )
    assert told.stdout.strip() == content_of(Basket(id="1", tags=frozenset("abcdefgh")))


def test_whose_handlers_are_given_recorded_events_looks_back() -> None:
    looks_back = DEFINITION.looks_back
    assert looks_back["depot"] == frozenset(), "its trigger is in hand"
    assert UNSHIPPABLE in looks_back["till"], "it undoes what it has recorded"
    assert PLACED not in looks_back["till"]
    reads = OrderFulfilment.definition.looks_back["payments"]
    assert {one.split(".")[1] for one in reads} >= {"ShipmentCreated", "PaymentDeclined"}
