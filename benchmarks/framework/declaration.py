"""The reference saga without the wait for the customer, with events of one size.

The steps, triggers, compensations, pivot and timers are those of ``events/choreographies``.
"""

from __future__ import annotations

from sagas import Event, Retry, Saga, Start, Step, hours

__all__ = [
    "CustomerNotified",
    "OfOrder",
    "OrderCancelled",
    "OrderPlaced",
    "OrderToNotification",
    "PaymentAuthorized",
    "PaymentCaptured",
    "PaymentDeclined",
    "PaymentVoided",
    "ShipmentCreated",
    "StockReleased",
    "StockReserved",
    "StockUnavailable",
]


class OfOrder(Event):
    """``content`` makes every event as large as the benchmark wants it."""

    order_id: str
    customer_id: str
    amount_cents: int
    content: str


class OrderPlaced(OfOrder, type="orders.OrderPlaced.v1"): ...


class OrderCancelled(OfOrder, type="orders.OrderCancelled.v1"): ...


class StockReserved(OfOrder, type="inventory.StockReserved.v1"): ...


class StockUnavailable(OfOrder, type="inventory.StockUnavailable.v1"): ...


class StockReleased(OfOrder, type="inventory.StockReleased.v1"): ...


class PaymentAuthorized(OfOrder, type="payments.PaymentAuthorized.v1"): ...


class PaymentDeclined(OfOrder, type="payments.PaymentDeclined.v1"): ...


class PaymentVoided(OfOrder, type="payments.PaymentVoided.v1"): ...


class PaymentCaptured(OfOrder, type="payments.PaymentCaptured.v1"): ...


class ShipmentCreated(OfOrder, type="shipping.ShipmentCreated.v1"): ...


class CustomerNotified(OfOrder, type="notifications.CustomerNotified.v1"): ...


class OrderToNotification(Saga):
    """Five services, seven steps counting the start; timers are set and cleared as in real use."""

    key = "order_id"
    deadline = hours(2)
    step_timeout = hours(1)  # no step times out while it is queued behind 10,000 others
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
        by="shipping", on=PaymentAuthorized, done=ShipmentCreated, pivot=True, state="SHIPPED"
    )
    capture_payment = Step(
        by="payments", on=ShipmentCreated, done=PaymentCaptured, reads=OrderPlaced
    )
    notify_customer = Step(by="notifications", on=ShipmentCreated, done=CustomerNotified)
