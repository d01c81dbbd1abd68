"""Forward actions under a claim, their outcomes recorded together: the journal on PostgreSQL.

A claim (``claims``) is held from before the action to after its outcome is committed, so that

* a duplicate never runs the action, and has no effect to take back;
* a forward action and an undo of the same step never overlap, whatever the action does, a call of
  somebody else's API included.

An action that has used its connection has its outcome inserted in that transaction, and commits with
it. One that has not has no effect here, so its outcome may be committed by itself, together with those
of others. The row's primary key is what is relied on in the end: should a claim be lost with its
connection, the second outcome, or the one behind a tombstone, is not inserted, and what was done with
it is rolled back.

Owns the order of claim, action, outcome and release. It must never commit an effect without its outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from sagas.adapters.sql.claims import Claims
from sagas.adapters.sql.on_demand import OnDemand, on_demand
from sagas.adapters.sql.rows import RowJournal, outcome_of
from sagas.adapters.sql.statements import BatchStatements
from sagas.adapters.sql.tables import SqlTables
from sagas.adapters.sql.transactions import as_unavailable
from sagas.ports import JournalKey, JournalOutcome, JournalUnavailable

__all__ = ["ClaimedJournal"]

_Action = Callable[[object], Awaitable[JournalOutcome]]

_TRIES: Final = 3


class ClaimedJournal:
    """A ``Journal`` on PostgreSQL through asyncpg."""

    def __init__(self, engine: AsyncEngine, tables: SqlTables) -> None:
        self._engine = engine
        self._statements = BatchStatements(tables, engine.dialect)
        self._claims = Claims(engine, self._statements)
        self._rows = RowJournal(engine, tables)

    async def forward(
        self, key: JournalKey, action: _Action, *, since_ms: int = 0
    ) -> JournalOutcome:
        """Run the action under a claim and record its outcome, or return what is recorded."""
        for _ in range(_TRIES):
            async with self._claims.step(key) as row:
                if row is not None and row.created_ms < since_ms:
                    await self._rows.discard(key, since_ms)
                elif row is not None:
                    return outcome_of(key, row.kind, row.type, row.payload)
                outcome = await self._perform(key, action)
            if outcome is not None:
                return outcome
        raise JournalUnavailable(f"{key}: its row comes and goes; run it again.")

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Undo under the same claim. Its rows make undos of all epochs take turns, claim or not."""
        async with self._claims.step(key):
            return await self._rows.undo(key, action, since_ms=since_ms)

    async def _perform(self, key: JournalKey, action: _Action) -> JournalOutcome | None:
        """The action's outcome, committed; None if somebody else's is there and this one is gone."""
        begun: OnDemand | None = None
        try:
            async with on_demand(self._engine) as begun:
                outcome = await begun.run(action(begun.connection))
                if begun.trouble is not None:
                    raise begun.trouble
                if begun.is_begun:
                    return outcome if await self._commit(begun, key, outcome) else None
            return outcome if await self._claims.record(key, outcome) else None
        except Exception as error:
            trouble = None if begun is None else begun.trouble
            foreign = begun is not None and begun.foreign and trouble is None
            raised = as_unavailable(
                self._engine, trouble or error, begun=not foreign, foreign=foreign
            )
            if raised is error:
                raise
            raise raised from error

    async def _commit(self, begun: OnDemand, key: JournalKey, outcome: JournalOutcome) -> bool:
        """Insert the outcome beside the effect, and commit both; False if a row is there already."""
        if begun.driver is None:
            raise JournalUnavailable(
                f"{key}: the connection was lost before the outcome was there."
            )
        inserted = await begun.driver.fetchval(self._statements.record_one, *key[:3], *outcome)
        if inserted:
            await begun.commit()
        return bool(inserted)
