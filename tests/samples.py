"""An order fulfilment like the reference system's, for tests that need a saga to look at."""

from __future__ import annotations

from sagas.core.events import Event
from sagas.core.saga import Saga
from sagas.core.steps import Start, Step

__all__ = [
    "CustomerNotified",
    "OrderCancelled",
    "OrderEvent",
    "OrderFulfilment",
    "OrderPlaced",
    "PaymentAuthorized",
    "PaymentCaptured",
    "PaymentDeclined",
    "PaymentVoided",
    "ShipmentCreated",
    "StockReleased",
    "StockReserved",
    "StockUnavailable",
]


class OrderEvent(Event):
    order_id: str


class OrderPlaced(OrderEvent, type="orders.OrderPlaced.v1"):
    items: tuple[str, ...] = ()


class OrderCancelled(OrderEvent, type="orders.OrderCancelled.v1"):
    pass


class StockReserved(OrderEvent, type="inventory.StockReserved.v1"):
    reservation: str = ""


class StockUnavailable(OrderEvent, type="inventory.StockUnavailable.v1"):
    missing: tuple[str, ...] = ()


class StockReleased(OrderEvent, type="inventory.StockReleased.v1"):
    pass


class PaymentAuthorized(OrderEvent, type="payments.PaymentAuthorized.v1"):
    authorization: str = ""


class PaymentDeclined(OrderEvent, type="payments.PaymentDeclined.v1"):
    reason: str = ""


class PaymentVoided(OrderEvent, type="payments.PaymentVoided.v1"):
    pass


class ShipmentCreated(OrderEvent, type="shipping.ShipmentCreated.v1"):
    parcel: str = ""


class PaymentCaptured(OrderEvent, type="payments.PaymentCaptured.v1"):
    pass


class CustomerNotified(OrderEvent, type="notifications.CustomerNotified.v1"):
    pass


class OrderFulfilment(Saga):
    key = "order_id"
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
        state="PAID",
    )
    create_shipment = Step(
        by="shipping", on=PaymentAuthorized, done=ShipmentCreated, pivot=True, state="SHIPPED"
    )
    capture_payment = Step(
        by="payments", on=ShipmentCreated, done=PaymentCaptured, reads=OrderPlaced
    )
    notify_customer = Step(by="notifications", on=ShipmentCreated, done=CustomerNotified)
