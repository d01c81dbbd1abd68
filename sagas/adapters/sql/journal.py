"""A participant's journal in its own SQL database: outcome and effect commit in one transaction.

Owns the choice of how a step is claimed. On PostgreSQL with asyncpg, which is what ``open_engine`` makes,
forward actions claim by locks and record in batches (``claimed``); on SQLite, and with any other driver of
PostgreSQL, by a row that is inserted before the action runs (``rows``). Workers of both kinds may work on
one table: the primary key decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from sagas.adapters.sql.age import JournalAge
from sagas.adapters.sql.claimed import ClaimedJournal
from sagas.adapters.sql.rows import RowJournal
from sagas.adapters.sql.tables import SqlTables
from sagas.ports import InstanceKey, Journal, JournalKey, JournalOutcome

__all__ = ["SqlJournal"]


class SqlJournal:
    """A ``Journal`` on PostgreSQL or SQLite. Actions get SQLAlchemy's ``AsyncConnection``.

    An action must neither commit nor roll back that connection. On PostgreSQL a statement of its
    that fails spoils the transaction, unless it ran in a savepoint (``connection.begin_nested()``).
    While actions are under way the journal uses one connection of the engine's pool for itself, so
    the pool must have room for two.
    """

    def __init__(self, engine: AsyncEngine, tables: SqlTables | None = None) -> None:
        kind = ClaimedJournal if engine.dialect.driver == "asyncpg" else RowJournal
        tables = tables or SqlTables()
        self._journal: Journal = kind(engine, tables)
        self._age = JournalAge(engine, tables)

    async def forward(
        self,
        key: JournalKey,
        action: Callable[[object], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Run the action and record its outcome in one transaction, or return what is recorded.

        Safe to repeat, at once and after any crash. Raises Tombstone, JournalUnavailable, and what
        the action raises; then neither effect nor outcome is left.
        """
        return await self._journal.forward(key, action, since_ms=since_ms)

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Run the undo and record its outcome in one transaction, or return what is recorded.

        Safe to repeat. Raises Superseded, JournalUnavailable, and what the action raises; then
        nothing is left of it, the tombstone included.
        """
        return await self._journal.undo(key, action, since_ms=since_ms)

    async def aged(self, *, before_ms: int, skip: int, limit: int) -> Sequence[InstanceKey]:
        """The instance of each row from before, oldest first. Raises JournalUnavailable."""
        return await self._age.aged(before_ms=before_ms, skip=skip, limit=limit)

    async def forget(self, instances: Collection[InstanceKey], *, before_ms: int) -> int:
        """Delete these instances' rows from before, and how many. Raises JournalUnavailable."""
        return await self._age.forget(instances, before_ms=before_ms)
