"""Inventory's data: how much there is of each article, and every movement for an order.

All functions work in the caller's transaction. A movement is written once and never changed; no
constraint forbids a second one, so that the books can show whether effects happen once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import BigInteger, Column, Integer, Table, Text, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from events.orders import OrderLine
from sagas.adapters.sql import SqlTables
from services import insert_new

__all__ = ["receive", "release", "reserve", "tables"]

tables = SqlTables()

_stock = Table(
    "stock",
    tables.metadata,
    Column("sku", Text, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
)

_movements = Table(
    "movements",
    tables.metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Text, nullable=False, index=True),
    Column("sku", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),  # positive: set aside; negative: given back
)


async def receive(connection: AsyncConnection, stock: Mapping[str, int]) -> None:
    """Put articles into the warehouse that it does not know yet. Safe to repeat."""
    rows = [
        {"sku": sku, "received": pieces, "available": pieces, "reserved": 0}
        for sku, pieces in stock.items()
    ]
    if rows:
        await connection.execute(insert_new(connection, _stock), rows)


async def reserve(
    connection: AsyncConnection, order_id: str, lines: Iterable[OrderLine]
) -> tuple[str, ...]:
    """Set all lines aside, or nothing; return the articles of which there is not enough."""
    wanted = Counter[str]()
    for line in lines:
        wanted[line.sku] += line.quantity
    # Locked in one order, so that two orders for the same articles never wait for each other.
    rows = await connection.execute(
        select(_stock.c.sku, _stock.c.available)
        .where(_stock.c.sku.in_(wanted))
        .order_by(_stock.c.sku)
        .with_for_update()
    )
    available: dict[str, int] = {sku: pieces for sku, pieces in rows}  # noqa: C416 - rows, not pairs
    missing = tuple(sku for sku in sorted(wanted) if available.get(sku, 0) < wanted[sku])
    if not missing:
        for sku in sorted(wanted):
            await _move(connection, order_id, sku, wanted[sku])
    return missing


async def release(connection: AsyncConnection, order_id: str) -> int:
    """Give back exactly what is set aside for the order; return how many pieces, perhaps none."""
    held = func.sum(_movements.c.quantity)
    rows = await connection.execute(
        select(_movements.c.sku, held)
        .where(_movements.c.order_id == order_id)
        .group_by(_movements.c.sku)
        .having(held > 0)
        .order_by(_movements.c.sku)
    )
    pieces = 0
    for sku, quantity in rows.all():
        await _move(connection, order_id, sku, -int(quantity))
        pieces += int(quantity)
    return pieces


async def _move(connection: AsyncConnection, order_id: str, sku: str, quantity: int) -> None:
    movement = {"order_id": order_id, "sku": sku, "quantity": quantity}
    await connection.execute(insert(_movements), movement)
    await connection.execute(
        update(_stock)
        .where(_stock.c.sku == sku)
        .values(
            available=_stock.c.available - quantity,
            reserved=_stock.c.reserved + quantity,
        )
    )
