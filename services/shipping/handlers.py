"""Shipping's part in the sagas."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy.ext.asyncio import AsyncConnection

from events.choreographies.order_fulfilment import OrderFulfilment
from events.payments import PaymentAuthorized
from events.shipping import ShipmentCreated
from sagas import Service, StepContext
from services.shipping import store

__all__ = ["shipping"]

shipping = Service("shipping")


@shipping.performs(OrderFulfilment.create_shipment)
async def create_shipment(paid: PaymentAuthorized, context: StepContext) -> ShipmentCreated:
    """Send what is set aside for the order.

    The tracking number is made of the idempotency key, as a carrier's interface would do it: asked
    again, it gives the same number and sends nothing twice.
    """
    number = f"P{sha256(context.idempotency_key.encode()).hexdigest()[:12].upper()}"
    await store.send(context.resource(AsyncConnection), paid.order_id, paid.customer_id, number)
    return ShipmentCreated(
        order_id=paid.order_id, customer_id=paid.customer_id, tracking_number=number
    )
