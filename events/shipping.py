"""What the shipping service publishes."""

from __future__ import annotations

from sagas import Event

__all__ = ["ShipmentCreated"]


class ShipmentCreated(Event, type="shipping.ShipmentCreated.v1"):
    """The parcel has left the house: from here on an order can not be taken back."""

    order_id: str
    customer_id: str
    tracking_number: str
