"""What the orders service publishes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sagas import Event

__all__ = [
    "OrderCancellationRequested",
    "OrderCancelled",
    "OrderLine",
    "OrderPlaced",
    "ReceiptAssumed",
    "ReceiptConfirmed",
]


class OrderLine(BaseModel):
    """So many pieces of one article, at the price that the customer saw."""

    model_config = ConfigDict(frozen=True)

    sku: Annotated[str, Field(min_length=1, max_length=64)]
    quantity: Annotated[int, Field(ge=1, le=10_000)]
    unit_price_cents: Annotated[int, Field(ge=0, le=100_000_000)]


class OrderPlaced(Event, type="orders.OrderPlaced.v1"):
    """A customer has ordered; the order is accepted for fulfilment, nothing is promised yet."""

    order_id: str
    customer_id: str
    lines: tuple[OrderLine, ...]

    @property
    def amount_cents(self) -> int:
        """What the whole order costs."""
        return sum(line.quantity * line.unit_price_cents for line in self.lines)


class OrderCancellationRequested(Event, type="orders.OrderCancellationRequested.v1"):
    """The customer does not want the order any more; until the parcel leaves, that counts."""

    order_id: str
    reason: str = ""


class OrderCancelled(Event, type="orders.OrderCancelled.v1"):
    """The order will not be fulfilled; all that was done for it is undone."""

    order_id: str
    reason: str = ""


class ReceiptConfirmed(Event, type="orders.ReceiptConfirmed.v1"):
    """The customer says that the parcel has arrived."""

    order_id: str


class ReceiptAssumed(Event, type="orders.ReceiptAssumed.v1"):
    """The customer has said nothing for so long that the parcel must have arrived."""

    order_id: str
