"""Inventory's part in the sagas."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockReleased, StockReserved, StockUnavailable
from events.orders import OrderPlaced
from sagas import Service, StepContext
from services.inventory import store

__all__ = ["inventory"]

inventory = Service("inventory", tombstones=True)  # by its journal


@inventory.performs(OrderFulfilment.reserve_stock)
async def reserve(order: OrderPlaced, context: StepContext) -> StockReserved | StockUnavailable:
    """Set the whole order aside, or nothing of it."""
    connection = context.resource(AsyncConnection)
    missing = await store.reserve(connection, order.order_id, order.lines)
    if missing:
        return StockUnavailable(
            order_id=order.order_id, customer_id=order.customer_id, missing=missing
        )
    return StockReserved(
        order_id=order.order_id,
        customer_id=order.customer_id,
        amount_cents=order.amount_cents,
    )


@inventory.undoes(OrderFulfilment.reserve_stock)
async def release(
    order: OrderPlaced,
    reserved: StockReserved | None,  # noqa: ARG001 - the warehouse knows what it has set aside
    context: StepContext,
) -> StockReleased:
    """Put back what was set aside for this order; nothing, if nothing was."""
    pieces = await store.release(context.resource(AsyncConnection), order.order_id)
    return StockReleased(order_id=order.order_id, pieces=pieces)
