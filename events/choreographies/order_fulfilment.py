"""From a placed order to a paid parcel, or back to where it began."""

from __future__ import annotations

from events.inventory import StockReleased, StockReserved, StockUnavailable
from events.notifications import CustomerNotified
from events.orders import OrderCancelled, OrderPlaced
from events.payments import PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentVoided
from events.shipping import ShipmentCreated
from sagas import Saga, Start, Step

__all__ = ["OrderFulfilment"]


class OrderFulfilment(Saga):
    """Reserve the stock, block the money, ship; then take the money and tell the customer.

    Up to the shipment everything can be undone, last first. The shipment is the pivot: what follows
    it is done sooner or later, whatever happens.
    """

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
        state="FULFILLED",
    )
    notify_customer = Step(
        by="notifications",
        on=ShipmentCreated,
        done=CustomerNotified,
    )
