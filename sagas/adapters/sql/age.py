"""How old the journal's rows are: those of long ago are listed and deleted.

Never decides which instance is forgotten; whoever asks has looked at the saga table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from sagas.adapters.sql.tables import SqlTables
from sagas.adapters.sql.transactions import transaction
from sagas.ports import InstanceKey

__all__ = ["JournalAge", "moment"]


def moment(ms: int) -> datetime:
    """A time in milliseconds since the epoch as the database has it."""
    return datetime.fromtimestamp(ms / 1000, UTC)


class JournalAge:
    """The rows of a journal by their age. Every call is a short transaction of its own."""

    def __init__(self, engine: AsyncEngine, tables: SqlTables) -> None:
        self._engine = engine
        self._table = tables.journal

    async def aged(self, *, before_ms: int, skip: int, limit: int) -> Sequence[InstanceKey]:
        """The instance of each row from before, oldest row first."""
        columns = self._table.c
        oldest = (
            select(columns.saga, columns.saga_id)
            .where(columns.created_at < moment(before_ms))
            .order_by(columns.created_at, columns.saga, columns.saga_id)
            .offset(skip)
            .limit(limit)
        )
        async with transaction(self._engine) as begun:
            rows = (await begun.connection.execute(oldest)).all()
        return [(saga, saga_id) for saga, saga_id in rows]

    async def forget(self, instances: Collection[InstanceKey], *, before_ms: int) -> int:
        """Delete the rows of these instances that are from before. Safe to repeat."""
        if not instances:
            return 0
        columns = self._table.c
        old = delete(self._table).where(
            tuple_(columns.saga, columns.saga_id).in_(sorted(instances)),
            columns.created_at < moment(before_ms),
        )
        async with transaction(self._engine) as begun:
            return (await begun.connection.execute(old)).rowcount
