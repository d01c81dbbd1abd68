"""A saga's lost part of the table, rebuilt from the topics (rules 15 and 16).

Owns the order in which that is safe: the lease, then the markers, so that nobody creates or changes a row;
then the topics, the rows, the wake-ups; and the markers last. What dies in between is begun again by
whoever takes the lease next, and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import structlog

from sagas.core.definition import DEADLINE
from sagas.core.errors import ContractViolation, InvalidMessage, RetriableError
from sagas.core.instance import Instance
from sagas.core.refold import Found, Refolded, refold, refold_upon
from sagas.core.saga import Saga
from sagas.core.timers import PROOF, timers_of
from sagas.ports import Clock, Ids, Row, RowChange, Stamp, bucket_of
from sagas.restoring import RestorableTable, TableRebuilding
from sagas.runtime.forgetting import content_of, kept
from sagas.runtime.histories import Histories, Portion, found_in_row
from sagas.runtime.incoming import event_of
from sagas.runtime.waking import Waker
from sagas.wire.stored import encode_instance

__all__ = ["Means", "Progress", "Rebuild", "Rebuilt", "Superseded", "change_of"]

LEASE_MS = 30_000
"""A rebuilder that has not renewed its lease for so long is taken for dead."""

AT_ONCE = 500
"""So many instances are put back together."""

Left = tuple[Instance | None, Collection[Found]]
"""What is left of a row: the instance, and its events of which there are bytes."""

_log = structlog.get_logger()


class Superseded(RetriableError):
    """Another rebuilder has taken over, or the table was lost again: begin anew if that is still needed."""


class Progress(NamedTuple):
    """How far a rebuild is."""

    portions: int
    portions_all: int
    records: int
    instances: int


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild has done: instances put back by status, those without a start, the generation."""

    generation: int = 0
    records: int = 0
    without_start: int = 0
    unreadable: int = 0
    by_status: dict[str, int] = field(default_factory=dict)

    @property
    def instances(self) -> int:
        """How many instances were put back."""
        return sum(self.by_status.values())

    def count(self, status: str) -> None:
        """One more instance."""
        self.by_status[status] = self.by_status.get(status, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What it takes to put instances of one saga back.

    ``keep_ended_ms``: instances that ended longer ago are not put back, nor those that started longer ago
    and of which no row is left: what followed may have left the topics, and they would run as new. None
    puts back all.
    """

    saga: type[Saga]
    histories: Histories
    table: RestorableTable
    waker: Waker
    clock: Clock
    ids: Ids
    keep_ended_ms: int | None = None

    def is_long_ago(self, at_ms: int) -> bool:
        """Whether rows of that time may have been forgotten."""
        return self.keep_ended_ms is not None and at_ms < self.clock.now_ms() - self.keep_ended_ms

    def may_have_run(self, found: Collection[Found]) -> bool:
        """Whether what the topics hold is too old to be all that happened."""
        return all(self.is_long_ago(one.published_ms) for one in found if one.starts)

    def refolded(
        self, saga_id: str, found: Collection[Found], left: Left | None
    ) -> Refolded | None:
        """The instance from the topics and what is ``left`` of its row: None without a row, or without an
        instance where that can not be read. None where there is no start that is to run.

        Of what the row keeps no bytes of, the topics have them, or had them: then the row is believed.
        Topics keep records longer than they say. What is older than rows are kept is of an instance that
        was forgotten, and whose key may be in use again under the same event ids, unless the row is as old.
        """
        instance, kept_ = (None, ()) if left is None else left
        facts = {} if instance is None else instance.facts
        began_ms = min((fact.at_ms for fact in facts.values()), default=None)
        if left is None or (began_ms is not None and not self.is_long_ago(began_ms)):
            found = [one for one in found if not self.is_long_ago(one.published_ms)]
        found = [*found, *kept_]
        if instance is not None:
            there = {one.fact.id for one in found}
            if any(fact.id not in there for fact in facts.values()):
                return refold_upon(instance, found)
        return refold(self.saga.definition, saga_id, found)

    def content(self, refolded: Refolded, row: Row | None) -> str:
        """The digest of what the start says; the row's own where the start is nowhere any more."""
        try:
            start = refolded.instance.facts[self.saga.definition.start.done[0]]
            payload = refolded.events[start.kept_as].partition(b"\n")[2]
            return content_of(event_of(self.saga, start.travels_as, payload))
        except (KeyError, InvalidMessage):
            return "" if row is None else row.content


class Rebuild:
    """Rebuilds one saga; ``run`` it as often as needed, anywhere."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._saga = means.saga.name
        self._table = means.table
        self._clock = means.clock

    async def run(
        self,
        buckets: Collection[int] | None = None,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Rebuilt | None:
        """Rebuild these buckets, or those that are not ready; None if somebody else rebuilds the saga now.

        Raises Superseded, TableUnavailable and BrokerUnavailable: nothing is lost then, and the buckets
        stay closed until a rebuild has come to its end.
        """
        token = self._means.ids.new()
        async with self._leased(token) as held:
            if held is None:
                return None
            if buckets is None:  # looked at under the lease: whoever had it may have done the work
                buckets = await self.unready()
                if not buckets:
                    return Rebuilt()
            _log.info("rebuild.started", saga=self._saga, buckets=len(buckets))
            attempt = _Attempt(self._means, frozenset(buckets), token, held)
            rebuilt = await attempt.run(on_progress)
        _log.info(
            "rebuild.finished",
            saga=self._saga,
            generation=rebuilt.generation,
            instances=rebuilt.instances,
            by_status=rebuilt.by_status,
            records=rebuilt.records,
            without_start=rebuilt.without_start,
            unreadable=rebuilt.unreadable,
        )
        return rebuilt

    async def outlook(
        self,
        buckets: Collection[int] | None = None,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Rebuilt:
        """What the topics hold of these buckets, or of all, changing nothing: what ``run`` would put back.

        Raises BrokerUnavailable.
        """
        rebuilt, homeless = Rebuilt(), dict[str, list[Found]]()
        portions = await self._means.histories.portions()
        for number, partitions in enumerate(portions):
            on_progress(Progress(number, len(portions), rebuilt.records, rebuilt.instances))
            portion = await self._means.histories.read(
                partitions, wanted=lambda one: buckets is None or bucket_of(one) in buckets
            )
            rebuilt.records += portion.records
            rebuilt.generation = max(rebuilt.generation, portion.generation)
            for saga_id, events in portion.events.items():
                found = [*homeless.pop(saga_id, ()), *events]
                refolded = refold(self._means.saga.definition, saga_id, found)
                if refolded is None:
                    homeless[saga_id] = found
                else:
                    rebuilt.count(str(refolded.instance.status))
        rebuilt.without_start = len(homeless)
        return rebuilt

    async def unready(self) -> Collection[int]:
        """The buckets that are lost or being rebuilt. Raises TableUnavailable."""
        markers = await self._table.markers(self._saga)
        if all(one is not None and one.token is None for one in set(markers)):
            return ()  # as nearly always; of so many markers one or two differ
        return [
            bucket
            for bucket, marker in enumerate(markers)
            if marker is None or marker.token is not None
        ]

    @asynccontextmanager
    async def _leased(self, token: str) -> AsyncIterator[asyncio.Event | None]:
        """Hold the lease; the event is set once it is lost. None if it is somebody else's."""
        saga, lost = self._saga, asyncio.Event()
        if not await self._table.lease(saga, token, ttl_ms=LEASE_MS):
            yield None
            return
        keeping = asyncio.create_task(self._keep(token, lost), name=f"lease-{saga}")
        try:
            yield lost
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            with suppress(
                RetriableError
            ):  # it ends by itself, and a cancellation must not be replaced
                await self._table.release(saga, token)

    async def _keep(self, token: str, lost: asyncio.Event) -> None:
        while True:
            await self._clock.sleep(LEASE_MS / 3000)
            try:
                if not await self._table.lease(self._saga, token, ttl_ms=LEASE_MS):
                    lost.set()
            except RetriableError as error:
                _log.warning("server.unavailable", error=str(error))


class _Attempt:
    """One run under one token."""

    def __init__(
        self, means: Means, buckets: frozenset[int], token: str, lost: asyncio.Event
    ) -> None:
        self._means = means
        self._saga = means.saga.name
        self._table = means.table
        self._buckets = buckets
        self._token = token
        self._lost = lost
        self._rebuilt = Rebuilt()
        self._put_back: dict[str, str] = {}
        self._highest = 0
        self._homeless: dict[str, list[Found]] = {}

    async def run(self, on_progress: Callable[[Progress], None]) -> Rebuilt:
        histories, name, rebuilt = self._means.histories, self._saga, self._rebuilt
        rebuilt.generation = await self._table.begin_rebuild(name, self._buckets, self._token)
        announced = await histories.generation()
        rebuilt.generation = max(rebuilt.generation, announced)
        portions = await histories.portions()
        for number, partitions in enumerate(portions):
            on_progress(Progress(number, len(portions), rebuilt.records, len(self._put_back)))
            portion = await histories.read(partitions, wanted=self._wanted)
            rebuilt.records += portion.records
            await self._fold(portion)
        await self._keep_what_is_left()
        on_progress(Progress(len(portions), len(portions), rebuilt.records, len(self._put_back)))
        rebuilt.generation = max(rebuilt.generation + 1, self._highest)
        rebuilt.without_start = len(self._homeless)
        for status in self._put_back.values():
            rebuilt.count(status)
        await self._means.waker.announce(name, rebuilt.generation)
        if not await self._table.finish_rebuild(
            name, self._buckets, self._token, rebuilt.generation
        ):
            raise self._superseded()
        return rebuilt

    def _wanted(self, saga_id: str) -> bool:
        return bucket_of(saga_id) in self._buckets

    async def _fold(self, portion: Portion) -> None:
        self._rebuilt.generation = max(self._rebuilt.generation, portion.generation)
        await self._put_all_back(portion.events)

    async def _keep_what_is_left(self) -> None:
        """Rows of which the topics know nothing any more: they are older than the topics' retention."""
        for bucket in sorted(self._buckets):
            ids = await self._table.saga_ids(self._saga, bucket)
            await self._put_all_back({one: [] for one in ids if one not in self._put_back})

    async def _put_all_back(self, events: Mapping[str, list[Found]]) -> None:
        """Put instances back, some at once; then wake everybody.

        If this dies before the markers are set, whoever rebuilds next wakes again.
        """
        ids = iter(events)
        while chunk := list(islice(ids, AT_ONCE)):
            if self._lost.is_set():
                raise self._superseded()
            await asyncio.gather(*(self._put_back_one(one, events[one]) for one in chunk))

    async def _put_back_one(self, saga_id: str, found: Iterable[Found]) -> None:
        means = self._means
        found = [*self._homeless.pop(saga_id, ()), *found]
        row, left = await self._what_is_there(saga_id)
        stamp = Stamp(0, 0) if row is None else row.stamp
        refolded = means.refolded(saga_id, found, left)
        if refolded is None:
            self._homeless[saga_id] = found
            return
        generation = max(self._rebuilt.generation, refolded.generation, stamp.generation) + 1
        version = max(refolded.seq, stamp.version) + 1
        change = change_of(
            refolded,
            Stamp(generation, version),
            token=means.ids.new(),
            content=means.content(refolded, row),
        )
        change = change._replace(events=kept(refolded.instance, refolded.events))
        if refolded.instance.phase.is_terminal and means.is_long_ago(change.at_ms):
            return
        if not await self._table.restore(change, self._token):
            raise self._superseded()
        self._put_back[saga_id] = change.status
        self._highest = max(self._highest, generation)
        if is_under_way(refolded.instance):
            await means.waker.wake(self._saga, saga_id, generation)

    async def _what_is_there(self, saga_id: str) -> tuple[Row | None, Left | None]:
        """The row, which nobody but this rebuilder changes, and what can be read of it."""
        row = None
        try:
            row = await self._table.load(self._saga, saga_id, events=True)
            return row, None if row is None else found_in_row(self._means.saga, saga_id, row)
        except TableRebuilding:
            return None, None
        except (ContractViolation, InvalidMessage, KeyError) as error:
            self._rebuilt.unreadable += 1
            _log.warning("rebuild.row_unreadable", saga_id=saga_id, error=str(error))
            return row, (None, ())

    def _superseded(self) -> Superseded:
        return Superseded(
            f"The rebuild of {self._saga} was overtaken: another one has begun, or the table "
            "was lost again. Nothing is damaged; the one that came later does the work."
        )


def is_under_way(instance: Instance) -> bool:
    """Whether somebody may have to act: it has not ended, or is to be compensated once more after that."""
    return not instance.phase.is_terminal or any(
        map(instance.owed_epoch, instance.definition.steps)
    )


def change_of(
    refolded: Refolded, stamp: Stamp, *, token: str, content: str, expected: Stamp | None = None
) -> RowChange:
    """The whole row of an instance that was folded again."""
    instance = refolded.instance._replace(generation=stamp.generation, version=stamp.version)
    timers = timers_of(instance)
    names = {step.name for step in instance.definition.steps} | {DEADLINE, PROOF}
    return RowChange(
        saga=instance.definition.saga,
        saga_id=instance.saga_id,
        expected=expected,
        stamp=stamp,
        status=str(instance.status),
        state=encode_instance(instance),
        events=refolded.events,
        at_ms=max(fact.at_ms for fact in instance.facts.values()),
        token=token,
        timers_set=timers,
        timers_cleared=names - timers.keys(),
        content=content,
    )
