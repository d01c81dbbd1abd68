"""The orders of a run: the same for both systems, by number."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LIMIT_CENTS", "PLACED", "Order", "order"]

LIMIT_CENTS = 1_000_000
"""Payments above it are declined."""

PLACED = "orders.OrderPlaced.v1"
_EMPTY_BYTES = len(
    '{"order_id":"o-00000000","customer_id":"customer-00","amount_cents":0000000,"content":""}'
)


class Order(NamedTuple):
    """What a customer wants."""

    order_id: str
    customer_id: str
    amount_cents: int
    content: str


def order(number: int, *, payload_bytes: int, declined: float) -> Order:
    """An order whose events have about ``payload_bytes`` of JSON; a share is declined, evenly spread."""
    refused = int((number + 1) * declined) > int(number * declined)
    return Order(
        order_id=f"o-{number:08}",
        customer_id=f"customer-{number % 97:02}",
        amount_cents=2 * LIMIT_CENTS if refused else 12_345,
        content="x" * max(0, payload_bytes - _EMPTY_BYTES),
    )
