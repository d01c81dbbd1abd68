"""Orders' part in the sagas: the last compensation, and what becomes of the receipt.

The observers are no steps, and may be told twice. The customer's word itself comes in at the desk.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockUnavailable
from events.orders import OrderCancelled, OrderPlaced, ReceiptAssumed, ReceiptConfirmed
from events.payments import PaymentDeclined
from sagas import Event, EventContext, Service, StepContext
from sagas.core.framework_events import SagaCancelled
from services.orders import store

__all__ = ["orders"]

orders = Service("orders")


@orders.undoes(OrderFulfilment.start)
async def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
    """Cancel the order: all that was done for it has been undone by now."""
    reason = _reason(context.because)
    await store.cancel(context.resource(AsyncConnection), order.order_id, reason)
    return OrderCancelled(order_id=order.order_id, reason=reason)


@orders.observes(ReceiptConfirmed)
async def note_received(confirmed: ReceiptConfirmed, context: EventContext) -> None:
    """Note that the customer has the parcel."""
    async with context.resource(AsyncEngine).begin() as connection:
        await store.receive(connection, confirmed.order_id)


@orders.observes(ReceiptAssumed)
async def note_assumed(assumed: ReceiptAssumed, context: EventContext) -> None:
    """Note that nobody has said anything for long enough."""
    async with context.resource(AsyncEngine).begin() as connection:
        await store.assume(connection, assumed.order_id)


def _reason(because: Event | None) -> str:
    match because:
        case PaymentDeclined():
            return f"payment declined: {because.reason}"
        case StockUnavailable():
            return f"out of stock: {', '.join(because.missing)}"
        case SagaCancelled():
            return "cancelled by the customer"
        case None:
            return "not known"
        case _:
            return because.event_type
