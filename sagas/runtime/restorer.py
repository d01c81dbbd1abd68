"""Puts single instances back from the topics: those of which a message tells more than their row does.

Owns the look for them and its bounds. A whole bucket that is lost is ``rebuild``'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import structlog

from sagas.core.refold import Found, Refolded
from sagas.ports import Row, Stamp
from sagas.runtime.forgetting import kept
from sagas.runtime.histories import found_in_row
from sagas.runtime.rebuild import Means, change_of

__all__ = ["Restorer"]

VERSIONS_SKIPPED = 1_000
"""So often no instance is stored without an event on the topics that tells of it."""

FORGOTTEN_AFTER_MS = 60_000
REMEMBERED_MAX = 10_000
"""So long, and so many, instances are remembered of which the topics knew nothing."""

_log = structlog.get_logger()


class Restorer:
    """The instances of one saga. One look at a time; those asked for meanwhile share the next one.

    After a look that found nothing the next one waits for as long as that took, and what was not found
    is not looked for again for a minute: garbage from outside must not make workers read topics all day.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._saga = means.saga
        self._histories = means.histories
        self._table = means.table
        self._waker = means.waker
        self._clock = means.clock
        self._ids = means.ids
        self._turn = asyncio.Lock()
        self._asked: dict[int | None, dict[str, asyncio.Future[bool | None]]] = {}
        self._wanted: dict[int | None, dict[str, asyncio.Future[Mapping[str, Found] | None]]] = {}
        self._not_found: dict[str, int] = {}
        self._not_before_ms = 0

    async def restore(self, saga_id: str, partition: int | None) -> bool:
        """Put the instance back from that partition of the topics; load it again if this says True.

        Without a partition all are read. False: the topics know no start of it. Raises TableUnavailable
        and BrokerUnavailable; safe to repeat, and at the same time elsewhere.
        """
        if self._not_found.get(saga_id, 0) > self._clock.now_ms():
            return False
        while True:
            asked = self._asked.setdefault(partition, {})
            found = asked.setdefault(saga_id, asyncio.get_running_loop().create_future())
            async with self._turn:
                if not found.done():
                    await self._look(partition, self._asked.pop(partition, {}))
            if (answer := await found) is not None:
                return answer

    async def found(self, saga_id: str, partition: int | None) -> Mapping[str, Found]:
        """What that partition of the topics holds of the instance, by event id; changes nothing.

        For what the row does not keep (``forgetting``), which is seldom asked for: a look reads the
        partition, and those asked for meanwhile share the next one. Raises BrokerUnavailable.
        """
        while True:
            wanted = self._wanted.setdefault(partition, {})
            found = wanted.setdefault(saga_id, asyncio.get_running_loop().create_future())
            async with self._turn:
                if not found.done():
                    await self._find(partition, self._wanted.pop(partition, {}))
            if (answer := await found) is not None:
                return answer

    async def _find(
        self,
        partition: int | None,
        wanted: Mapping[str, asyncio.Future[Mapping[str, Found] | None]],
    ) -> None:
        try:
            events = await self._read(partition, wanted.keys())
            for saga_id, future in wanted.items():
                future.set_result({one.fact.id: one for one in events.get(saga_id, ())})
        finally:
            for future in wanted.values():
                if not future.done():
                    future.set_result(None)  # whoever looked has failed: the others look themselves

    async def _look(
        self, partition: int | None, asked: Mapping[str, asyncio.Future[bool | None]]
    ) -> None:
        try:
            await self._clock.sleep(max(0, self._not_before_ms - self._clock.now_ms()) / 1000)
            began_ms = self._clock.now_ms()
            events = await self._read(partition, asked.keys())
            for saga_id, future in asked.items():
                future.set_result(await self._restore(saga_id, events.get(saga_id, [])))
            if not any(future.result() for future in asked.values()):
                now_ms = self._clock.now_ms()
                self._not_before_ms = now_ms + (now_ms - began_ms)
        finally:
            for future in asked.values():
                if not future.done():
                    future.set_result(None)  # whoever looked has failed: the others look themselves

    async def _read(self, partition: int | None, ids: Collection[str]) -> dict[str, list[Found]]:
        events: dict[str, list[Found]] = {}
        for partitions in await self._histories.portions(partition):
            portion = await self._histories.read(partitions, wanted=ids.__contains__)
            for saga_id, found in portion.events.items():
                events.setdefault(saga_id, []).extend(found)
        return events

    async def _restore(self, saga_id: str, found: Collection[Found]) -> bool:
        """One instance, by compare-and-set, under the generation that its row or its bucket has."""
        row = await self._table.load(self._saga.name, saga_id, events=True)
        left = None if row is None else found_in_row(self._saga, saga_id, row)
        refolded = self._means.refolded(saga_id, found, left)
        if refolded is None:
            self._remember(saga_id)
            return False
        if left is not None and refolded.instance.facts.keys() == left[0].facts.keys():
            return True  # nothing is missing any more
        await self._store(refolded, row)
        return True  # or somebody else has stored

    async def _store(self, refolded: Refolded, row: Row | None) -> None:
        """The version skips more than can have been stored and not told, so that no stamp repeats:
        whoever still holds what was lost can not write over this.

        Where there was no row the wake-up comes first. Whoever handles it finds nothing and looks for
        the instance as this does, so it is not lost if this dies in between.
        """
        instance = refolded.instance
        name, saga_id = self._saga.name, instance.saga_id
        if row is None:
            expected, stamp = None, Stamp(self._table.generation(name, saga_id), 0)
        else:
            expected = row.stamp
            stamp = Stamp(max(expected.generation, refolded.generation), expected.version)
        stamp = stamp._replace(version=max(stamp.version, refolded.seq) + VERSIONS_SKIPPED)
        change = change_of(
            refolded,
            stamp,
            token=self._ids.new(),
            content=self._means.content(refolded, row),
            expected=expected,
        )
        if row is None:
            change = change._replace(events=kept(instance, refolded.events))
            await self._waker.wake(name, saga_id, stamp.generation)
        if await self._table.store(change):
            _log.warning("saga.rebuilt", status=change.status, version=stamp.version)
            if row is not None:
                await self._waker.wake(name, saga_id, stamp.generation)

    def _remember(self, saga_id: str) -> None:
        if len(self._not_found) >= REMEMBERED_MAX:
            self._not_found.clear()
        self._not_found[saga_id] = self._clock.now_ms() + FORGOTTEN_AFTER_MS
