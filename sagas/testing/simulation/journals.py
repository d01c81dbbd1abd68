"""A participant's journal as one worker sees it: behind its line, and every effect written down.

Owns nothing but what a call through a bad line means for a transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sagas.core.definition import Direction
from sagas.ports import Journal, JournalKey, JournalOutcome, JournalUnavailable, Tombstone
from sagas.testing.simulation.line import Line
from sagas.testing.simulation.world import Effect, Story

__all__ = ["FaultyJournal"]

_PAUSED = 0.1


class FaultyJournal:
    """A ``Journal`` behind a worker's line. What it commits is written down as an effect."""

    def __init__(
        self, journal: Journal, line: Line, story: Story, done: Callable[[JournalKey, str], bool]
    ) -> None:
        self._journal = journal
        self._line = line
        self._story = story
        self._done = done

    async def forward(
        self,
        key: JournalKey,
        action: Callable[[object], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Run the action in a transaction; the worker may die in it, before it or after it."""
        if self._line.chance.hits("pauses", _PAUSED):
            self._line.stand_still()  # long enough to be undone before it has begun
            await asyncio.sleep(0)

        async def perform() -> JournalOutcome:
            ran: list[JournalOutcome] = []

            async def act(transaction: object) -> JournalOutcome:
                ran[:] = [await action(transaction)]
                self._line.check()  # the dead commit nothing
                return ran[0]

            outcome = await self._journal.forward(key, act, since_ms=since_ms)
            self._committed(key, ran, null=False)
            return outcome

        try:
            return await self._line.call("forward", JournalUnavailable, perform)
        except Tombstone:
            self._story.seen["tombstone"] += 1
            raise

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Like ``forward``; an undo that finds no effect is a null compensation."""

        async def perform() -> JournalOutcome:
            ran: list[JournalOutcome] = []
            null = False

            async def act(transaction: object, recorded: JournalOutcome | None) -> JournalOutcome:
                nonlocal null
                null = recorded is None or not self._done(key, recorded.type)
                ran[:] = [await action(transaction, recorded)]
                self._line.check()
                return ran[0]

            outcome = await self._journal.undo(key, act, since_ms=since_ms)
            self._committed(key, ran, null=null)
            return outcome

        return await self._line.call("undo", JournalUnavailable, perform)

    def _committed(self, key: JournalKey, ran: list[JournalOutcome], *, null: bool) -> None:
        if not ran:
            self._story.seen["repeated"] += 1
            return
        effect = Effect(key.step, key.direction, key.epoch, ran[0].type, null, journaled=True)
        self._story.effect(key.saga, key.saga_id, effect)
        what = "undid" if key.direction is Direction.UNDO else "performed"
        self._line.note("effect", f"{what} {key.step}: {ran[0].type}")
