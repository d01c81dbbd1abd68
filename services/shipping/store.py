"""Shipping's data: one row per parcel.

Works in the caller's transaction. No constraint forbids a second parcel for an order, so that the
books can show whether effects happen once.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from sagas.adapters.sql import SqlTables

__all__ = ["send", "tables"]

tables = SqlTables()

_shipments = Table(
    "shipments",
    tables.metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Text, nullable=False, index=True),
    Column("customer_id", Text, nullable=False),
    Column("tracking_number", Text, nullable=False),
)


async def send(
    connection: AsyncConnection, order_id: str, customer_id: str, tracking_number: str
) -> None:
    """Note that the order's parcel is on its way."""
    row = {
        "order_id": order_id,
        "customer_id": customer_id,
        "tracking_number": tracking_number,
    }
    await connection.execute(insert(_shipments), row)
