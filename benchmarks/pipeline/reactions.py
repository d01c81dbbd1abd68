"""What each service does about which events. A row's status is a plain word that the scripts compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.orders import LIMIT_CENTS, PLACED

__all__ = ["REACTIONS", "SERVICES", "Reaction", "answer"]

Payload = dict[str, Any]

_RESERVED, _RELEASED = "inventory.StockReserved.v1", "inventory.StockReleased.v1"
_AUTHORIZED, _DECLINED = "payments.PaymentAuthorized.v1", "payments.PaymentDeclined.v1"
_SHIPPED, _CAPTURED = "shipping.ShipmentCreated.v1", "payments.PaymentCaptured.v1"
_NOTIFIED, _CANCELLED = "notifications.CustomerNotified.v1", "orders.OrderCancelled.v1"


class Reaction(NamedTuple):
    """One step: the topic to read, the field it records, the event it answers with."""

    source: str
    step: bytes
    done: str
    refused: str = ""
    too_late: bytes = b"DECLINED"
    """A row with this status is left as it is; a compensation is never too late."""
    keeps_trigger: bytes = b""
    """The field under which the trigger is recorded as well."""
    reads: bytes = b""
    """The field that is read before the step is done."""


REACTIONS: Mapping[str, Mapping[str, Reaction]] = {
    "orders": {_RELEASED: Reaction("inventory", b"cancel", _CANCELLED, too_late=b"-")},
    "inventory": {
        PLACED: Reaction("orders", b"reserve", _RESERVED, keeps_trigger=b"placed"),
        _DECLINED: Reaction("payments", b"release", _RELEASED, too_late=b"-"),
    },
    "payments": {
        _RESERVED: Reaction("inventory", b"authorize", _AUTHORIZED, refused=_DECLINED),
        _SHIPPED: Reaction("shipping", b"capture", _CAPTURED, reads=b"placed"),
    },
    "shipping": {_AUTHORIZED: Reaction("payments", b"ship", _SHIPPED)},
    "notifications": {_SHIPPED: Reaction("shipping", b"notify", _NOTIFIED)},
}
SERVICES = tuple(REACTIONS)


def answer(reaction: Reaction, asked: Payload, read: Payload | None) -> tuple[str, Payload]:
    """The event that a step ends with: its type and payload."""
    amount_cents = (read or asked)["amount_cents"]
    declined = bool(reaction.refused) and amount_cents > LIMIT_CENTS
    return reaction.refused if declined else reaction.done, {
        "order_id": asked["order_id"],
        "customer_id": asked["customer_id"],
        "amount_cents": amount_cents,
        "content": asked["content"],
    }
