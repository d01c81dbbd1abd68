"""From a placed order to a received parcel, or back to where it began."""

from __future__ import annotations

from events.inventory import StockReleased, StockReserved, StockUnavailable
from events.notifications import CustomerNotified
from events.orders import (
    OrderCancellationRequested,
    OrderCancelled,
    OrderPlaced,
    ReceiptAssumed,
    ReceiptConfirmed,
)
from events.payments import PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentVoided
from events.shipping import ShipmentCreated
from sagas import Retry, Saga, Start, Step, Wait, days, hours, seconds

__all__ = ["OrderFulfilment"]


class OrderFulfilment(Saga):
    """Reserve the stock, block the money, ship; then take the money and wait for the customer's word.

    Up to the shipment everything can be undone, last first, and is once it takes too long, or the
    customer changes their mind. The
    shipment is the pivot: what follows it is done sooner or later, whatever happens.
    """

    key = "order_id"
    deadline = hours(2)
    step_timeout = seconds(30)
    cancelled_by = OrderCancellationRequested
    ends_with = (CustomerNotified, ReceiptConfirmed, ReceiptAssumed)

    start = Start(OrderPlaced, by="orders", undone=OrderCancelled, state="CREATED")

    reserve_stock = Step(
        by="inventory",
        on=OrderPlaced,
        done=StockReserved,
        refused=StockUnavailable,
        undone=StockReleased,
        state="RESERVED",
    )
    authorize_payment = Step(
        by="payments",
        on=StockReserved,
        done=PaymentAuthorized,
        refused=PaymentDeclined,
        undone=PaymentVoided,
        retry=Retry(attempts=5),
        state="PAID",
    )
    create_shipment = Step(
        by="shipping",
        on=PaymentAuthorized,
        done=ShipmentCreated,
        pivot=True,
        state="SHIPPED",
    )
    capture_payment = Step(
        by="payments",
        on=ShipmentCreated,
        done=PaymentCaptured,
        reads=OrderPlaced,
    )
    notify_customer = Step(
        by="notifications",
        on=ShipmentCreated,
        done=CustomerNotified,
    )
    confirm_receipt = Wait(
        by="orders",
        on=PaymentCaptured,
        done=ReceiptConfirmed,
        timeout=days(7),
        otherwise=ReceiptAssumed,
        state="FULFILLED",
    )
