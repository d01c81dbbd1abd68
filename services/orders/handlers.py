"""Orders' part in the sagas: the last compensation."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockUnavailable
from events.orders import OrderCancelled, OrderPlaced
from events.payments import PaymentDeclined
from sagas import Event, Service, StepContext
from services.orders import store

__all__ = ["orders"]

orders = Service("orders")


@orders.undoes(OrderFulfilment.start)
async def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
    """Cancel the order: all that was done for it has been undone by now."""
    reason = _reason(context.because)
    await store.cancel(context.resource(AsyncConnection), order.order_id, reason)
    return OrderCancelled(order_id=order.order_id, reason=reason)


def _reason(because: Event | None) -> str:
    match because:
        case PaymentDeclined():
            return f"payment declined: {because.reason}"
        case StockUnavailable():
            return f"out of stock: {', '.join(because.missing)}"
        case None:
            return "not known"
        case _:
            return because.event_type
