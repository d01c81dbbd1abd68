"""What the runtime's contexts tell, and for how long."""

from __future__ import annotations

import asyncio
from dataclasses import fields

import pytest

from sagas import SagaStatus, Service, StepContext
from sagas.core.definition import Direction
from sagas.core.errors import RetriableError
from sagas.testing import SagaTestEnvironment
from sagas.wire.envelope import Trail
from tests.handlers import Shop
from tests.samples import (
    OrderCancelled,
    OrderFulfilment,
    OrderPlaced,
    PaymentCaptured,
    PaymentDeclined,
    ShipmentCreated,
    StockReleased,
    StockReserved,
    StockUnavailable,
)


def test_a_context_that_is_kept_says_of_its_own_action_what_it_said_then() -> None:
    kept: list[StepContext] = []

    def reserve(order: OrderPlaced, context: StepContext) -> StockReserved:
        kept.append(context)
        return StockReserved(order_id=order.order_id)

    def release(
        order: OrderPlaced, reserved: StockReserved | None, context: StepContext
    ) -> StockReleased:
        kept.append(context)
        return StockReleased(order_id=order.order_id)

    def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
        kept.append(context)
        return OrderCancelled(order_id=order.order_id)

    async def story() -> None:
        async with SagaTestEnvironment(Shop(declined=frozenset("12")).services) as env:
            env.replace(OrderFulfilment.reserve_stock, returns=reserve)
            env.replace(OrderFulfilment.reserve_stock, returns=release, undo=True)
            env.replace(OrderFulfilment.start, returns=cancel, undo=True)
            for id_ in ("1", "2"):
                await env.client.start(OrderPlaced(order_id=id_), trail=Trail(tenant=f"t-{id_}"))
                assert (await env.wait_for_end(id_)).status is SagaStatus.COMPENSATED

    asyncio.run(story())
    seen = {(one.saga_id, one.step, one.direction): one for one in kept}
    assert len(seen) == len(kept) == 6
    for (id_, step, direction), context in seen.items():
        undone = direction is Direction.UNDO
        declined = PaymentDeclined(order_id=id_, reason="no money")
        assert context.tenant == f"t-{id_}"
        assert context.correlation_id == id_
        assert context.idempotency_key == f"order-fulfilment/{id_}/{step}/{direction}/0"
        assert context.status == ("COMPENSATING" if undone else "RUNNING")
        assert context.because == (declined if undone else None)
        assert all(hasattr(context, one.name) for one in fields(context))


async def test_a_context_tells_what_its_step_reads_and_nothing_else() -> None:
    kept: list[StepContext] = []

    def capture(shipment: ShipmentCreated, context: StepContext) -> PaymentCaptured:
        kept.append(context)
        return PaymentCaptured(order_id=shipment.order_id)

    async with SagaTestEnvironment(Shop().services) as env:
        env.replace(OrderFulfilment.capture_payment, returns=capture)
        await env.start(OrderPlaced(order_id="1", items=("tea",)))
        await env.wait_for_end("1")
    assert kept[0].events == {
        OrderPlaced.event_type: OrderPlaced(order_id="1", items=("tea",)),
    }


async def test_each_attempt_has_a_context_of_its_own_and_all_have_one_pulse() -> None:
    kept: list[StepContext] = []

    def reserve(order: OrderPlaced, context: StepContext) -> StockReserved:
        kept.append(context)
        if context.attempt < 3:
            raise RetriableError("the store is away")
        return StockReserved(order_id=order.order_id)

    async with SagaTestEnvironment(Shop().services) as env:
        env.replace(OrderFulfilment.reserve_stock, returns=reserve)
        await env.start(OrderPlaced(order_id="1"))
        assert (await env.wait_for_end("1")).status is SagaStatus.COMPLETED
    first, second, third = kept
    assert [first.attempt, second.attempt, third.attempt] == [1, 2, 3]
    assert first.pulse is second.pulse is third.pulse
    assert first.idempotency_key == third.idempotency_key


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_thread_may_be_the_first_to_send_a_heartbeat(*, is_async: bool) -> None:
    """The loop is that of the worker, whoever asks."""
    pulses: list[object] = []
    inventory = Service("inventory")

    def beats(context: StepContext) -> None:
        context.heartbeat_soon()
        pulses.append(context.pulse)

    async def reserve(order: OrderPlaced, context: StepContext) -> StockReserved | StockUnavailable:
        await asyncio.gather(*(asyncio.to_thread(beats, context) for _ in range(4)))
        return StockReserved(order_id=order.order_id)

    def reserve_plainly(
        order: OrderPlaced, context: StepContext
    ) -> StockReserved | StockUnavailable:
        beats(context)
        return StockReserved(order_id=order.order_id)

    performs = inventory.performs(OrderFulfilment.reserve_stock)
    if is_async:
        performs(reserve)
    else:
        performs(reserve_plainly)

    @inventory.undoes(OrderFulfilment.reserve_stock)
    async def release(
        order: OrderPlaced, reserved: StockReserved | None, context: StepContext
    ) -> StockReleased:
        raise AssertionError

    services = [one for one in Shop().services if one.name != "inventory"]
    async with SagaTestEnvironment([*services, inventory]) as env:
        await env.start(OrderPlaced(order_id="1"))
        assert (await env.wait_for_end("1")).status is SagaStatus.COMPLETED
    assert len(pulses) == (4 if is_async else 1)
    assert all(one is pulses[0] for one in pulses)
