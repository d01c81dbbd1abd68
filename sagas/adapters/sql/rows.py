"""A journal in one transaction per action: claim, effect and outcome, through SQLAlchemy alone.

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

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sagas.adapters.sql.age import moment
from sagas.adapters.sql.on_demand import OnDemand, on_demand
from sagas.adapters.sql.statements import Statements
from sagas.adapters.sql.tables import SqlTables
from sagas.adapters.sql.transactions import as_unavailable, transaction
from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation
from sagas.ports import JournalKey, JournalOutcome, JournalUnavailable, Superseded, Tombstone

__all__ = ["Kind", "RowJournal", "outcome_of"]


class Kind(StrEnum):
    """What a row of the journal is."""

    CLAIM = "claim"
    """An action is under way; only its own transaction ever sees this."""
    OUTCOME = "outcome"
    TOMBSTONE = "tombstone"
    """The step was undone before it was performed."""


class RowJournal:
    """A ``Journal`` on any database that SQLAlchemy's dialect says has ``ON CONFLICT``."""

    def __init__(self, engine: AsyncEngine, tables: SqlTables) -> None:
        self._engine = engine
        self._statements = Statements(tables, engine.dialect.name)

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
        async with _acting(self._engine) as begun:
            connection = begun.connection
            if not await self._claim(connection, key, Kind.CLAIM, since_ms):
                return outcome_of(key, *await self._found(connection, key))
            outcome = await begun.run(action(connection))
            await connection.execute(
                self._statements.record,
                {**_own(key), "_kind": Kind.OUTCOME, **_outcome(outcome)},
            )
            return outcome

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Run the undo and record its outcome in one transaction, or return what is recorded.

        The forward row is the lock of the step: taken by inserting the tombstone, or by selecting
        for update what is there, it makes undos of all epochs take turns. Safe to repeat. Raises
        Superseded, JournalUnavailable, and what the action raises; then nothing is left of it, the
        tombstone included.
        """
        performed_key = key._replace(direction=Direction.FORWARD, epoch=0)
        async with _acting(self._engine) as begun:
            connection = begun.connection
            performed = None
            if not await self._claim(connection, performed_key, Kind.TOMBSTONE, since_ms):
                kind, type_, payload = await self._found(connection, performed_key)
                if kind != Kind.TOMBSTONE:
                    performed = outcome_of(performed_key, kind, type_, payload)
            recorded = await self._undone(connection, key)
            if recorded is not None:
                return recorded
            outcome = await begun.run(action(connection, performed))
            await connection.execute(
                self._statements.claim,
                {**_row(key, Kind.OUTCOME), **_outcome(outcome)},
            )
            return outcome

    async def discard(self, key: JournalKey, since_ms: int) -> None:
        """Delete what is recorded for the step from before: an earlier saga's, which is forgotten."""
        async with transaction(self._engine) as begun:
            await self._discard(begun.connection, key, since_ms)

    async def _claim(
        self, connection: AsyncConnection, key: JournalKey, kind: Kind, since_ms: int
    ) -> bool:
        """Insert the row, after waiting for whoever is about to; False if it is there already."""
        row = {**_row(key, kind), "type": None, "payload": None}
        if (await connection.execute(self._statements.claim, row)).rowcount == 1:
            return True
        if not since_ms or not await self._discard(connection, key, since_ms):
            return False
        return (await connection.execute(self._statements.claim, row)).rowcount == 1

    async def _discard(self, connection: AsyncConnection, key: JournalKey, since_ms: int) -> int:
        old = {**_own(key), "_since": moment(since_ms)}
        return (await connection.execute(self._statements.discard, old)).rowcount

    async def _found(
        self, connection: AsyncConnection, key: JournalKey
    ) -> tuple[str, str | None, bytes | None]:
        """Lock and read the forward row that kept us from inserting: kind, type and payload."""
        row = (await connection.execute(self._statements.lock, _own(key))).one_or_none()
        if row is None:
            raise JournalUnavailable(f"{key}: its row was deleted at this moment; run it again.")
        return row.kind, row.type, row.payload

    async def _undone(self, connection: AsyncConnection, key: JournalKey) -> JournalOutcome | None:
        """The undo recorded under this epoch, if any. Raises Superseded for a higher one."""
        rows = (await connection.execute(self._statements.undone, _own(key))).all()
        for row in rows:
            if row.epoch == key.epoch:
                return JournalOutcome(row.type, row.payload)
        if rows:
            raise Superseded(f"{key}: the step was undone under epoch {rows[-1].epoch} already")
        return None


def outcome_of(
    key: JournalKey, kind: str, type_: str | None, payload: bytes | None
) -> JournalOutcome:
    """What a forward action's row says. Raises Tombstone, and ContractViolation for a mere claim."""
    if kind == Kind.TOMBSTONE:
        raise Tombstone(f"{key}: the step was undone before it was performed")
    if kind == Kind.CLAIM or type_ is None or payload is None:
        raise ContractViolation(
            f"{key}: an action committed the journal's transaction before its outcome was there. "
            "Whether it took effect must be found out by hand; then delete this row, or complete "
            "it. An action must leave commit and rollback to the journal."
        )
    return JournalOutcome(type_, payload)


@asynccontextmanager
async def _acting(engine: AsyncEngine) -> AsyncIterator[OnDemand]:
    """A transaction in which somebody's action runs, who must not end it; errors are told apart."""
    begun: OnDemand | None = None
    try:
        async with on_demand(engine) as begun:
            yield begun
            await begun.commit()
    except Exception as error:
        foreign = begun is not None and begun.foreign
        raised = as_unavailable(engine, error, begun=begun is not None, foreign=foreign)
        if raised is error:
            raise
        raise raised from error


def _row(key: JournalKey, kind: Kind) -> dict[str, Any]:
    return {**key._asdict(), "kind": kind}


def _own(key: JournalKey) -> dict[str, Any]:
    return {f"_{name}": value for name, value in key._asdict().items()}


def _outcome(outcome: JournalOutcome) -> dict[str, Any]:
    return {"type": outcome.type, "payload": outcome.payload}
