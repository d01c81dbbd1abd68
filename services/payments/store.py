"""Payments' data: the limits of accounts, and a ledger that only grows.

All functions work in the caller's transaction. At any time what was authorized for an order equals
what was captured, what was voided, and what is still open. No constraint forbids a second entry, so
that the books can show whether effects happen once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import BigInteger, Column, Integer, Table, Text, case, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sagas.adapters.sql import SqlTables
from services import insert_new

__all__ = ["Entry", "authorize", "capture", "open_accounts", "tables", "void"]

tables = SqlTables()

_accounts = Table(
    "accounts",
    tables.metadata,
    Column("customer_id", Text, primary_key=True),
    Column("limit_cents", BigInteger, nullable=False),
)

_ledger = Table(
    "ledger",
    tables.metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Text, nullable=False, index=True),
    Column("entry", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
)


class Entry(StrEnum):
    """What an entry of the ledger says."""

    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"


async def open_accounts(connection: AsyncConnection, limits: Mapping[str, int]) -> None:
    """Open the accounts that are not there yet. Safe to repeat."""
    rows = [
        {"customer_id": customer_id, "limit_cents": limit} for customer_id, limit in limits.items()
    ]
    if rows:
        await connection.execute(insert_new(connection, _accounts), rows)


async def authorize(
    connection: AsyncConnection,
    order_id: str,
    customer_id: str,
    amount_cents: int,
    *,
    default_limit_cents: int,
) -> int | None:
    """Block the amount and return None, or block nothing and return the limit that is too low."""
    limit = await connection.scalar(
        select(_accounts.c.limit_cents).where(_accounts.c.customer_id == customer_id)
    )
    if limit is None:
        limit = default_limit_cents
    if amount_cents > limit:
        return int(limit)
    await _enter(connection, order_id, Entry.AUTHORIZED, amount_cents)
    return None


async def void(connection: AsyncConnection, order_id: str) -> int:
    """Set free what is still blocked for the order; return how much, perhaps nothing."""
    amount_cents = await _open_cents(connection, order_id)
    if amount_cents:
        await _enter(connection, order_id, Entry.VOIDED, amount_cents)
    return amount_cents


async def capture(connection: AsyncConnection, order_id: str, amount_cents: int) -> None:
    """Take what is blocked. Raises ValueError if that is another amount: then nothing is taken."""
    blocked = await _open_cents(connection, order_id)
    if blocked != amount_cents:
        raise ValueError(
            f"The order {order_id} costs {amount_cents} cents, but {blocked} are blocked for it; "
            "look at its entries in the ledger."
        )
    await _enter(connection, order_id, Entry.CAPTURED, amount_cents)


async def _open_cents(connection: AsyncConnection, order_id: str) -> int:
    amount = _ledger.c.amount_cents
    signed = case((_ledger.c.entry == Entry.AUTHORIZED, amount), else_=-amount)
    total = await connection.scalar(
        select(func.coalesce(func.sum(signed), 0)).where(_ledger.c.order_id == order_id)
    )
    return int(total or 0)


async def _enter(
    connection: AsyncConnection, order_id: str, entry: Entry, amount_cents: int
) -> None:
    row = {"order_id": order_id, "entry": entry, "amount_cents": amount_cents}
    await connection.execute(insert(_ledger), row)
