"""What a handler's context hands out."""

from __future__ import annotations

from typing import Any

import pytest

from sagas import ContractViolation, StepContext
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
