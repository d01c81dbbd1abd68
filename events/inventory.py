"""What the inventory service publishes."""

from __future__ import annotations

from sagas import Event

__all__ = ["StockReleased", "StockReserved", "StockUnavailable"]


class StockReserved(Event, type="inventory.StockReserved.v1"):
    """Every line of the order is set aside. Carries whom to charge, and how much."""

    order_id: str
    customer_id: str
    amount_cents: int


class StockUnavailable(Event, type="inventory.StockUnavailable.v1"):
    """Some of the order is not in stock, so none of it was set aside."""

    order_id: str
    customer_id: str
    missing: tuple[str, ...]


class StockReleased(Event, type="inventory.StockReleased.v1"):
    """What was set aside for the order, which may be nothing, is for sale again."""

    order_id: str
    pieces: int = 0
