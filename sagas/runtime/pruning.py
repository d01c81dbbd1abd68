"""A participant's journal forgets what the saga table has forgotten.

Owns when that is looked for. A row is only deleted if it is older than instances that have ended are kept,
and the table, asked then, knows no such instance: one that waits, or is parked, for months keeps its rows.
Safe in several processes at once.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from sagas.core.errors import ContractViolation
from sagas.ports import Clock, InstanceKey, PrunableJournal, SagaTable
from sagas.runtime.execution import words_of
from sagas.runtime.patience import Patience

__all__ = ["JournalPruning"]

_log = structlog.get_logger()

INTERVAL_S = 60.0
"""How often it is looked for."""

PAUSE_S = 0.5
"""Between two pages of one look: what is pruned must not be felt by what is handled."""

ROWS_MAX = 1_000
"""How many rows a page has at the most."""


class JournalPruning:
    """Prunes one journal for as long as it runs."""

    def __init__(
        self,
        journal: PrunableJournal,
        *,
        table: SagaTable,
        clock: Clock,
        keep_ended_ms: int,
    ) -> None:
        self._journal = journal
        self._table = table
        self._clock = clock
        self._keep_ended_ms = keep_ended_ms
        self._patience = Patience(clock)

    async def run(self) -> None:
        """Prune until cancelled. Waits for a database or a table that is away.

        What else goes wrong, such as a right to delete that is missing, is logged, and ends nothing.
        """
        while True:
            try:
                await self.prune()
            except Exception as error:  # noqa: BLE001 - a journal that grows is no reason to stop
                _log.warning("journal.not_pruned", error=words_of(error))
            await self._clock.sleep(INTERVAL_S)

    async def prune(self) -> int:
        """Look at every row that is old enough, and how many were deleted."""
        before_ms = self._clock.now_ms() - self._keep_ended_ms
        kept, deleted = 0, 0
        while True:
            rows, gone = await self._patience.insist(partial(self._prune_page, before_ms, kept))
            deleted += gone
            if rows < ROWS_MAX:
                break
            kept += max(0, rows - gone)
            await self._clock.sleep(PAUSE_S)
        if deleted:
            _log.debug("journal.pruned", count=deleted)
        return deleted

    async def _prune_page(self, before_ms: int, skip: int) -> tuple[int, int]:
        """How many rows a page had, and how many rows were deleted for it."""
        rows = await self._journal.aged(before_ms=before_ms, skip=skip, limit=ROWS_MAX)
        instances = sorted(set(rows))
        known = await asyncio.gather(*(self._is_known(instance) for instance in instances))
        gone = [one for one, is_known in zip(instances, known, strict=True) if not is_known]
        return len(rows), await self._journal.forget(gone, before_ms=before_ms) if gone else 0

    async def _is_known(self, instance: InstanceKey) -> bool:
        try:
            return await self._table.load(*instance) is not None
        except ContractViolation:
            return True  # its row is damaged, but there
