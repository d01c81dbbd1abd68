"""The commits of one worker: what is finished is recorded with the group, soon and in order.

Owns the pause between two commits. What is not committed is delivered again, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

import structlog

from sagas.core.errors import RetriableError
from sagas.ports import Clock, Consumer, TopicPartition
from sagas.runtime.shares import Share

__all__ = ["Commits"]

_log = structlog.get_logger()


class Commits:
    """Commits for the consumer that ``consumer`` gives, what the trackers of these shares say."""

    def __init__(
        self,
        service: str,
        shares: Mapping[TopicPartition, Share],
        consumer: Callable[[], Consumer],
        *,
        clock: Clock,
        interval_s: float,
    ) -> None:
        self._service = service
        self._shares = shares
        self._consumer = consumer
        self._clock = clock
        self._interval_s = interval_s
        self._dirty = asyncio.Event()
        self._committing = asyncio.Lock()

    def due(self) -> None:
        """Something is finished."""
        self._dirty.set()

    async def forever(self) -> None:
        """Commit whenever something is finished, with a pause in between."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self.commit(frozenset(self._shares))
            await self._clock.sleep(self._interval_s)

    async def commit(self, partitions: Collection[TopicPartition]) -> None:
        """Commit what is finished of these now. One after the other: an older commit that lands late would
        move the group back.
        """
        async with self._committing:
            await self._commit(partitions)

    async def _commit(self, partitions: Collection[TopicPartition]) -> None:
        trackers = {p: self._shares[p].tracker for p in partitions if p in self._shares}
        offsets = {
            partition: offset
            for partition, tracker in trackers.items()
            if (offset := tracker.committable()) is not None
        }
        if not offsets:
            return
        try:
            await self._consumer().commit(offsets)
        except RetriableError as error:
            # What is not committed is delivered again, which changes nothing. The next commit covers it.
            _log.warning("commit.failed", service=self._service, error=str(error))
            self._dirty.set()
            return
        for partition, offset in offsets.items():
            trackers[partition].committed(offset)
