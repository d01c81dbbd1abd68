"""What the notifications service publishes."""

from __future__ import annotations

from sagas import Event

__all__ = ["CustomerNotified"]


class CustomerNotified(Event, type="notifications.CustomerNotified.v1"):
    """The customer was told that the parcel is on its way."""

    order_id: str
    customer_id: str
