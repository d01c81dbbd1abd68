"""Notifications' part in the sagas, and what it does besides.

The observers are no steps: nothing waits for them and nothing is undone. They may be told twice.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockUnavailable
from events.notifications import CustomerNotified
from events.payments import PaymentDeclined
from events.shipping import ShipmentCreated
from sagas import EventContext, SagaEnded, Service, StepContext
from services.notifications import store

__all__ = ["notifications"]

notifications = Service("notifications")


@notifications.performs(OrderFulfilment.notify_customer)
async def notify_customer(shipment: ShipmentCreated, context: StepContext) -> CustomerNotified:
    """Tell the customer that the parcel is on its way."""
    await store.send(
        context.resource(AsyncConnection),
        shipment.order_id,
        shipment.customer_id,
        "SHIPPED",
        f"Your order {shipment.order_id} is on its way: {shipment.tracking_number}.",
    )
    return CustomerNotified(order_id=shipment.order_id, customer_id=shipment.customer_id)


@notifications.observes(PaymentDeclined)
async def tell_declined(declined: PaymentDeclined, context: EventContext) -> None:
    """Tell the customer that the payment did not go through."""
    async with context.resource(AsyncEngine).begin() as connection:
        await store.send_once(
            connection,
            declined.order_id,
            declined.customer_id,
            "DECLINED",
            f"We could not take the payment for your order {declined.order_id}.",
        )


@notifications.observes(StockUnavailable)
async def tell_unavailable(unavailable: StockUnavailable, context: EventContext) -> None:
    """Tell the customer what we do not have."""
    async with context.resource(AsyncEngine).begin() as connection:
        await store.send_once(
            connection,
            unavailable.order_id,
            unavailable.customer_id,
            "UNAVAILABLE",
            f"We are out of {', '.join(unavailable.missing)} for order {unavailable.order_id}.",
        )


@notifications.observes(OrderFulfilment.ended)
async def note_end(ended: SagaEnded, context: EventContext) -> None:
    """Note how the saga ended."""
    async with context.resource(AsyncEngine).begin() as connection:
        await store.end(connection, ended.saga, ended.saga_id, ended.status)
