"""Orders' data: one row per order.

All functions work in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Column, Table, Text, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from events.orders import OrderLine, OrderPlaced
from sagas.adapters.sql import SqlTables
from services import insert_new

__all__ = ["Order", "OrderStatus", "add", "cancel", "find", "tables"]

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
    """Mark the order as cancelled. Safe to repeat; without such an order nothing happens."""
    await connection.execute(
        update(_orders)
        .where(_orders.c.order_id == order_id, _orders.c.status == OrderStatus.PLACED)
        .values(status=OrderStatus.CANCELLED, reason=reason)
    )
