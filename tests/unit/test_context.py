"""What a handler's context hands out."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from typing import Any

import pytest

from sagas import ContractViolation, StepContext
from sagas.context import context_told_by
from sagas.core.definition import Direction
from tests.samples import OrderPlaced, ShipmentCreated


def context(**more: Any) -> StepContext:
    return StepContext(
        **{
            "saga": "order-fulfilment",
            "saga_id": "1",
            "correlation_id": "1",
            "status": "RUNNING",
            "step": "capture_payment",
            "direction": Direction.FORWARD,
            "attempt": 1,
            "epoch": 0,
            "idempotency_key": "k",
            **more,
        }
    )


class Engine:
    pass


class FastEngine(Engine):
    pass


def test_resources_are_found_by_type() -> None:
    engine, fast = Engine(), FastEngine()
    assert context(resources={FastEngine: fast, Engine: engine}).resource(Engine) is engine
    assert context(resources={FastEngine: fast}).resource(Engine) is fast
    with pytest.raises(
        ContractViolation, match=r"type str is open; .* yields Engine, FastEngine\."
    ):
        context(resources={FastEngine: fast, Engine: engine}).resource(str)
    with pytest.raises(ContractViolation, match="yields nothing"):
        context().resource(Engine)


def test_declared_events_are_read() -> None:
    order = OrderPlaced(order_id="1")
    given = context(events={OrderPlaced.event_type: order})
    assert given.read(OrderPlaced) is order
    with pytest.raises(
        ContractViolation,
        match=r"order-fulfilment\.capture_payment reads ShipmentCreated .* it may read "
        r"orders\.OrderPlaced\.v1\. Add reads=ShipmentCreated",
    ):
        given.read(ShipmentCreated)


def test_contexts_are_frozen_and_have_no_room_for_more() -> None:
    with pytest.raises(AttributeError):
        context().attempt = 2  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(context(), "__dict__")


class Told:
    """Tells of a context made by hand, and notes what it was asked."""

    def __init__(self) -> None:
        self.given = context(tenant="t-1", deadline_ms=60_000)
        self.asked: list[str] = []

    def __call__(self, name: str) -> object:
        self.asked.append(name)
        return getattr(self.given, name)

    def context(self) -> StepContext:
        return context_told_by(self, self.given.resources)


def test_what_a_handler_reads_is_told_when_it_is_read_and_once() -> None:
    told = Told()
    found = told.context()
    assert told.asked == []
    assert (found.saga_id, found.tenant, found.saga_id) == ("1", "t-1", "1")
    assert found.deadline == told.given.deadline
    assert found.resources is told.given.resources
    assert told.asked == ["saga_id", "tenant", "deadline_ms"]


def test_a_context_that_is_told_is_like_any_other() -> None:
    told = Told()
    assert type(told.context()) is StepContext
    assert repr(told.context()) == repr(told.given)
    assert told.context() == told.given
    assert copy.copy(told.context()) == told.given
    again = replace(told.context(), attempt=3)
    assert (again.attempt, again.step, again.pulse) == (3, "capture_payment", told.given.pulse)
    with pytest.raises(AttributeError, match="cannot assign to field 'attempt'"):
        told.context().attempt = 2  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(told.context(), "__dict__")
    told.asked.clear()
    for one in (told.context(), context()):
        with pytest.raises(AttributeError, match="'StepContext' object has no attribute 'sagaid'"):
            one.sagaid  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] # noqa: B018
    assert told.asked == []


def test_all_that_a_context_says_is_told() -> None:
    told = Told()
    found = told.context()
    assert all(getattr(found, one.name) == getattr(told.given, one.name) for one in fields(found))
    assert sorted([*told.asked, "resources"]) == sorted(one.name for one in fields(found))
