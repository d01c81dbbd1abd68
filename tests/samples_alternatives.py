"""An order that may go on without a step, waits for people, and has to hurry: for tests of time."""

from __future__ import annotations

from sagas.core.combinations import AnyOf
from sagas.core.durations import NEVER, days, hours, minutes, seconds
from sagas.core.retry import Retry
from sagas.core.saga import Saga
from sagas.core.steps import Start, Step, Wait
from tests.samples import OrderCancelled, OrderEvent, OrderPlaced, ShipmentCreated

__all__ = [
    "GiftUnwrapped",
    "GiftWrapped",
    "OrderArchived",
    "OrderDelivery",
    "PaymentConfirmed",
    "PaymentRejected",
    "ReceiptAssumed",
    "ReceiptConfirmed",
    "WrappingSkipped",
]


class GiftWrapped(OrderEvent, type="inventory.GiftWrapped.v1"):
    paper: str = ""


class WrappingSkipped(OrderEvent, type="inventory.WrappingSkipped.v1"):
    reason: str = "it took too long"


class GiftUnwrapped(OrderEvent, type="inventory.GiftUnwrapped.v1"):
    pass


class PaymentConfirmed(OrderEvent, type="payments.PaymentConfirmed.v1"):
    receipt: str = ""


class PaymentRejected(OrderEvent, type="payments.PaymentRejected.v1"):
    reason: str = ""


class ReceiptConfirmed(OrderEvent, type="orders.ReceiptConfirmed.v1"):
    signed_by: str


class ReceiptAssumed(OrderEvent, type="orders.ReceiptAssumed.v1"):
    pass


class OrderArchived(OrderEvent, type="shipping.OrderArchived.v1"):
    pass


class OrderDelivery(Saga):
    key = "order_id"
    deadline = hours(2)
    step_timeout = seconds(30)
    start = Start(OrderPlaced, by="orders", undone=OrderCancelled, state="CREATED")

    wrap_gift = Step(
        by="inventory",
        on=OrderPlaced,
        done=GiftWrapped,
        otherwise=WrappingSkipped,
        undone=GiftUnwrapped,
        timeout=minutes(5),
        retry=Retry(attempts=5),
    )
    confirm_payment = Wait(
        by="payments",
        on=AnyOf(GiftWrapped, WrappingSkipped),
        done=PaymentConfirmed,
        refused=PaymentRejected,
        timeout=hours(1),
        state="PAID",
    )
    create_shipment = Step(
        by="shipping", on=PaymentConfirmed, done=ShipmentCreated, pivot=True, state="SHIPPED"
    )
    archive = Step(by="shipping", on=ShipmentCreated, done=OrderArchived, timeout=NEVER)
    confirm_receipt = Wait(
        by="orders",
        on=ShipmentCreated,
        done=ReceiptConfirmed,
        timeout=days(7),
        otherwise=ReceiptAssumed,
        state="FULFILLED",
    )
