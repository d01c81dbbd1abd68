"""A participant's journal in its own SQL database: outcome and effect commit in one transaction.

The row of a step's forward action is claimed before the action runs, not inserted after it. The
transaction that holds the claim makes every other worker on the same step wait at its own first
statement, so

* a duplicate never runs the action at all, and has no effect to take back;
* a forward action and an undo of the same step never overlap: whoever comes second sees what the
first one committed, in READ COMMITTED too, because ``ON CONFLICT DO NOTHING`` waits for the other
transaction, and the next statement reads what it left; * locks are taken in one order, the
journal's row first, so the journal adds no deadlock; * an error of the user's statements cannot be
another worker's doing, and is raised as it is.

The price is an update of the row at the end, instead of the lookup at the beginning, and that a
worker which hangs in the middle of an action holds the others up until its connection ends; they
get JournalUnavailable after the lock timeout. Inserting at the end would let them overtake it, at
the cost of doing the work twice.

On SQLite a transaction takes the one write lock when it begins; the same statements are right
there. It must never commit anything outside the transaction that the action saw.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sagas.adapters.sql.tables import SqlTables
from sagas.adapters.sql.transactions import Transaction, transaction
from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation
from sagas.ports import JournalKey, JournalOutcome, JournalUnavailable, Superseded, Tombstone

__all__ = ["Kind", "SqlJournal"]


class Kind(StrEnum):
    """What a row of the journal is."""

    CLAIM = "claim"
    """An action is under way; only its own transaction ever sees this."""
    OUTCOME = "outcome"
    TOMBSTONE = "tombstone"
    """The step was undone before it was performed."""


class SqlJournal:
    """A ``Journal`` on PostgreSQL or SQLite. Actions get SQLAlchemy's ``AsyncConnection``.

    An action must neither commit nor roll back that connection. On PostgreSQL a statement of its
    that fails spoils the transaction, unless it ran in a savepoint (``connection.begin_nested()``).
    """

    def __init__(self, engine: AsyncEngine, tables: SqlTables | None = None) -> None:
        self._engine = engine
        self._statements = _Statements(tables or SqlTables(), engine.dialect.name)

    async def forward(
        self, key: JournalKey, action: Callable[[object], Awaitable[JournalOutcome]]
    ) -> JournalOutcome:
        """Run the action and record its outcome in one transaction, or return what is recorded.

        Safe to repeat, at once and after any crash. Raises Tombstone, JournalUnavailable, and what
        the action raises; then neither effect nor outcome is left.
        """
        async with transaction(self._engine) as begun:
            connection = begun.connection
            if not await self._claim(connection, key, Kind.CLAIM):
                outcome = await self._performed(connection, key)
                if outcome is None:
                    raise Tombstone(f"{key}: the step was undone before it was performed")
                return outcome
            outcome = await _run(begun, action(connection))
            await connection.execute(
                self._statements.record,
                {**_own(key), "_kind": Kind.OUTCOME, **_outcome(outcome)},
            )
            return outcome

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
    ) -> JournalOutcome:
        """Run the undo and record its outcome in one transaction, or return what is recorded.

        The forward row is the lock of the step: taken by inserting the tombstone, or by selecting
        for update what is there, it makes undos of all epochs take turns. Safe to repeat. Raises
        Superseded, JournalUnavailable, and what the action raises; then nothing is left of it, the
        tombstone included.
        """
        performed_key = key._replace(direction=Direction.FORWARD, epoch=0)
        async with transaction(self._engine) as begun:
            connection = begun.connection
            performed = None
            if not await self._claim(connection, performed_key, Kind.TOMBSTONE):
                performed = await self._performed(connection, performed_key)
            recorded = await self._undone(connection, key)
            if recorded is not None:
                return recorded
            outcome = await _run(begun, action(connection, performed))
            await connection.execute(
                self._statements.claim,
                {**_row(key, Kind.OUTCOME), **_outcome(outcome)},
            )
            return outcome

    async def _claim(self, connection: AsyncConnection, key: JournalKey, kind: Kind) -> bool:
        """Insert the row, after waiting for whoever is about to; False if it is there already."""
        row = {**_row(key, kind), "type": None, "payload": None}
        return (await connection.execute(self._statements.claim, row)).rowcount == 1

    async def _performed(
        self, connection: AsyncConnection, key: JournalKey
    ) -> JournalOutcome | None:
        """Lock and read the forward row that kept us from inserting; None for a tombstone."""
        row = (await connection.execute(self._statements.lock, _own(key))).one_or_none()
        if row is None:
            raise JournalUnavailable(f"{key}: its row was deleted at this moment; run it again.")
        if row.kind == Kind.CLAIM:
            raise ContractViolation(
                f"{key}: an action committed the journal's transaction before its outcome was "
                "there. Whether it took effect must be found out by hand; then delete this row, or "
                "complete it. An action must leave commit and rollback to the journal."
            )
        return None if row.kind == Kind.TOMBSTONE else JournalOutcome(row.type, row.payload)

    async def _undone(self, connection: AsyncConnection, key: JournalKey) -> JournalOutcome | None:
        """The undo recorded under this epoch, if any. Raises Superseded for a higher one."""
        rows = (await connection.execute(self._statements.undone, _own(key))).all()
        for row in rows:
            if row.epoch == key.epoch:
                return JournalOutcome(row.type, row.payload)
        if rows:
            raise Superseded(f"{key}: the step was undone under epoch {rows[-1].epoch} already")
        return None


class _Statements:
    """The journal's statements, built once; ``_own`` and ``_row`` give their parameters."""

    def __init__(self, tables: SqlTables, dialect: str) -> None:
        table = tables.journal
        insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
        step = [
            table.c[name] == bindparam(f"_{name}")
            for name in ("saga", "saga_id", "step", "direction")
        ]
        row = [*step, table.c.epoch == bindparam("_epoch")]
        self.claim = insert(table).on_conflict_do_nothing()
        self.record = (
            update(table)
            .where(*row)
            .values(kind=bindparam("_kind"), type=bindparam("type"), payload=bindparam("payload"))
        )
        self.lock = (
            select(table.c.kind, table.c.type, table.c.payload).where(*row).with_for_update()
        )
        self.undone = (
            select(table.c.epoch, table.c.type, table.c.payload)
            .where(*step, table.c.epoch >= bindparam("_epoch"))
            .order_by(table.c.epoch)
        )


async def _run(begun: Transaction, action: Awaitable[JournalOutcome]) -> JournalOutcome:
    begun.foreign = True
    outcome = await action
    begun.foreign = False
    return outcome


def _row(key: JournalKey, kind: Kind) -> dict[str, Any]:
    return {**key._asdict(), "kind": kind}


def _own(key: JournalKey) -> dict[str, Any]:
    return {f"_{name}": value for name, value in key._asdict().items()}


def _outcome(outcome: JournalOutcome) -> dict[str, Any]:
    return {"type": outcome.type, "payload": outcome.payload}
