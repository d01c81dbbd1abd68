"""Payments' part in the sagas."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockReserved
from events.orders import OrderPlaced
from events.payments import PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentVoided
from events.shipping import ShipmentCreated
from sagas import Service, StepContext
from services.payments import store
from services.payments.settings import PaymentsSettings

__all__ = ["payments"]

payments = Service("payments", tombstones=True)  # by its journal


@payments.performs(OrderFulfilment.authorize_payment)
async def authorize(
    reserved: StockReserved, context: StepContext
) -> PaymentAuthorized | PaymentDeclined:
    """Block what the order costs, if the customer's limit allows it."""
    limit_cents = await store.authorize(
        context.resource(AsyncConnection),
        reserved.order_id,
        reserved.customer_id,
        reserved.amount_cents,
        default_limit_cents=context.resource(PaymentsSettings).payments_limit_cents,
    )
    if limit_cents is not None:
        return PaymentDeclined(
            order_id=reserved.order_id,
            customer_id=reserved.customer_id,
            amount_cents=reserved.amount_cents,
            reason=f"{reserved.amount_cents} cents are above the limit of {limit_cents}",
        )
    return PaymentAuthorized(
        order_id=reserved.order_id,
        customer_id=reserved.customer_id,
        amount_cents=reserved.amount_cents,
    )


@payments.undoes(OrderFulfilment.authorize_payment)
async def void(
    reserved: StockReserved,
    authorized: PaymentAuthorized | None,  # noqa: ARG001 - the ledger knows what is blocked
    context: StepContext,
) -> PaymentVoided:
    """Set free what is blocked for this order; nothing, if nothing is."""
    amount_cents = await store.void(context.resource(AsyncConnection), reserved.order_id)
    return PaymentVoided(order_id=reserved.order_id, amount_cents=amount_cents)


@payments.performs(OrderFulfilment.capture_payment)
async def capture(shipment: ShipmentCreated, context: StepContext) -> PaymentCaptured:
    """Take what the customer has agreed to when the order was placed."""
    amount_cents = context.read(OrderPlaced).amount_cents
    await store.capture(context.resource(AsyncConnection), shipment.order_id, amount_cents)
    return PaymentCaptured(order_id=shipment.order_id, amount_cents=amount_cents)
