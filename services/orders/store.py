"""Orders' data: one row per order.

All functions work in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Column, Table, Text, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from events.orders import OrderLine, OrderPlaced
from sagas.adapters.sql import SqlTables
from services import insert_new

__all__ = ["Order", "OrderStatus", "add", "assume", "cancel", "find", "receive", "tables"]

tables = SqlTables()

_orders = Table(
    "orders",
    tables.metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("lines", JSON, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
)


class OrderStatus(StrEnum):
    """What the customer is told of the order itself; how far it is, the saga knows."""

    PLACED = "PLACED"
    RECEIVED = "RECEIVED"
    """The customer has said so."""
    ASSUMED = "ASSUMED"
    """Received as far as we know: nobody has said so in time."""
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands. ``reason`` says why it was cancelled."""

    order_id: str
    customer_id: str
    lines: tuple[OrderLine, ...]
    amount_cents: int
    status: OrderStatus
    reason: str


async def add(connection: AsyncConnection, placed: OrderPlaced) -> bool:
    """Store a new order; False, and nothing is changed, if there is one of this id."""
    row = {
        "order_id": placed.order_id,
        "customer_id": placed.customer_id,
        "lines": [line.model_dump() for line in placed.lines],
        "amount_cents": placed.amount_cents,
        "status": OrderStatus.PLACED,
        "reason": "",
    }
    return (await connection.execute(insert_new(connection, _orders), row)).rowcount == 1


async def find(connection: AsyncConnection, order_id: str) -> Order | None:
    """The order, or None."""
    row = (
        await connection.execute(select(_orders).where(_orders.c.order_id == order_id))
    ).one_or_none()
    if row is None:
        return None
    return Order(
        order_id=row.order_id,
        customer_id=row.customer_id,
        lines=tuple(OrderLine.model_validate(line) for line in row.lines),
        amount_cents=row.amount_cents,
        status=OrderStatus(row.status),
        reason=row.reason,
    )


async def cancel(connection: AsyncConnection, order_id: str, reason: str) -> None:
    """Mark the order as cancelled, whatever was said of its receipt. Safe to repeat; without such an
    order nothing happens.
    """
    before = (OrderStatus.PLACED, OrderStatus.RECEIVED, OrderStatus.ASSUMED)
    await _move(connection, order_id, before, OrderStatus.CANCELLED, reason)


async def receive(connection: AsyncConnection, order_id: str) -> None:
    """Note that the customer has the parcel; no more of a cancelled order. Safe to repeat."""
    before = (OrderStatus.PLACED, OrderStatus.ASSUMED)
    await _move(connection, order_id, before, OrderStatus.RECEIVED)


async def assume(connection: AsyncConnection, order_id: str) -> None:
    """Assume that the customer has the parcel, unless more is known. Safe to repeat."""
    await _move(connection, order_id, (OrderStatus.PLACED,), OrderStatus.ASSUMED)


async def _move(
    connection: AsyncConnection,
    order_id: str,
    before: Sequence[OrderStatus],
    after: OrderStatus,
    reason: str = "",
) -> None:
    # Whichever is heard first, the order ends alike: cancelled before received before assumed.
    known = (_orders.c.order_id == order_id) & _orders.c.status.in_(before)
    await connection.execute(update(_orders).where(known).values(status=after, reason=reason))
