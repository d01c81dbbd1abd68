"""Notifications' data: the messages to customers, and how each saga ended.

All functions work in the caller's transaction. A step's message is made once by the journal; an
observer has none, so its message carries a name of its own under which it is stored only once.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sagas.adapters.sql import SqlTables
from services import insert_new

__all__ = ["end", "send", "send_once", "tables"]

tables = SqlTables()

_messages = Table(
    "messages",
    tables.metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Text, nullable=False, index=True),
    Column("customer_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("once", Text, unique=True),
)

_endings = Table(
    "endings",
    tables.metadata,
    Column("saga", Text, primary_key=True),
    Column("saga_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
)


async def send(
    connection: AsyncConnection, order_id: str, customer_id: str, kind: str, text: str
) -> None:
    """Put a message into the mail."""
    await connection.execute(insert(_messages), _message(order_id, customer_id, kind, text))


async def send_once(
    connection: AsyncConnection, order_id: str, customer_id: str, kind: str, text: str
) -> None:
    """Put a message into the mail unless the order had one of its kind. Safe to repeat."""
    message = _message(order_id, customer_id, kind, text) | {"once": f"{order_id}/{kind}"}
    await connection.execute(insert_new(connection, _messages), message)


async def end(connection: AsyncConnection, saga: str, saga_id: str, status: str) -> None:
    """Note how a saga ended; what is said last holds. Safe to repeat."""
    row = {"saga": saga, "saga_id": saga_id, "status": status}
    added = await connection.execute(insert_new(connection, _endings), row)
    if added.rowcount == 0:
        known = (_endings.c.saga == saga) & (_endings.c.saga_id == saga_id)
        await connection.execute(update(_endings).where(known).values(status=status))


def _message(order_id: str, customer_id: str, kind: str, text: str) -> dict[str, str]:
    return {"order_id": order_id, "customer_id": customer_id, "kind": kind, "text": text}
