"""The ports as one worker sees them: the servers on memory, behind its line.

Each port method is one line here. Owns nothing but what a call through a bad line means for a port.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Mapping,
    Sequence,
)
from contextvars import Context
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

from sagas.adapters.memory.consumer import MemoryConsumer
from sagas.core.errors import ContractViolation
from sagas.ports import (
    BrokerUnavailable,
    OutgoingRecord,
    RebalanceListener,
    Record,
    RowChange,
    TableUnavailable,
    Timer,
    TopicDescription,
    TopicPartition,
)
from sagas.restoring import Marker, RestorableTable
from sagas.testing.simulation.line import NOTHING_LOST, Line, MemberClock
from sagas.testing.simulation.world import Servers

__all__ = ["FaultyBroker", "FaultyConsumer", "FaultyReader", "FaultyTable"]

P = ParamSpec("P")
T = TypeVar("T")

_LATER_S = (0.05, 3.0)
_LOST_AGAIN = 0.25
_RECORDS_AT_ONCE = 16
_RISK = 0.1
"""Of each call of a rebuild, for the worker: it is rare, and is to be cut off everywhere."""


def _over_the_line(
    method: Callable[Concatenate[RestorableTable, P], Coroutine[Any, Any, T]],
    *,
    risk: float = 0.02,
) -> Callable[Concatenate[FaultyTable, P], Coroutine[Any, Any, T]]:
    """A method of the table, as it is called over a worker's line."""
    name = method.__name__

    async def call(self: FaultyTable, /, *args: P.args, **named: P.kwargs) -> T:
        called: Callable[..., Awaitable[T]] = getattr(self._servers.table, name)
        return await self._line.call(
            name, TableUnavailable, lambda: called(*args, **named), risk=risk
        )

    return call


class FaultyTable:
    """A ``RestorableTable`` behind a worker's line."""

    def __init__(
        self, servers: Servers, line: Line, clock: MemberClock, lose_soon: Callable[[], None]
    ) -> None:
        self._servers = servers
        self._line = line
        self._clock = clock
        self._lose = lose_soon

    start = _over_the_line(RestorableTable.start)
    stop = _over_the_line(RestorableTable.stop)
    load = _over_the_line(RestorableTable.load)
    annotate = _over_the_line(RestorableTable.annotate)
    forget_events = _over_the_line(RestorableTable.forget_events)
    list_sagas = _over_the_line(RestorableTable.list_sagas)
    list_timers = _over_the_line(RestorableTable.list_timers)
    count_sagas = _over_the_line(RestorableTable.count_sagas)
    _store = _over_the_line(RestorableTable.store)
    postpone_timer = _over_the_line(RestorableTable.postpone_timer)
    _due_timers = _over_the_line(RestorableTable.due_timers)

    _markers = _over_the_line(RestorableTable.markers)
    lease = _over_the_line(RestorableTable.lease)
    release = _over_the_line(RestorableTable.release)
    _begin_rebuild = _over_the_line(RestorableTable.begin_rebuild, risk=_RISK)
    restore = _over_the_line(RestorableTable.restore, risk=_RISK)
    finish_rebuild = _over_the_line(RestorableTable.finish_rebuild, risk=_RISK)
    saga_ids = _over_the_line(RestorableTable.saga_ids)
    sweep = _over_the_line(RestorableTable.sweep)

    def generation(self, saga: str, saga_id: str) -> int:
        """What the last load has seen: no call of its own."""
        return self._servers.table.generation(saga, saga_id)

    async def store(self, change: RowChange) -> bool:
        """Store; a conflict is counted."""
        stored = await self._store(change)
        if not stored:
            self._servers.story.seen["conflict"] += 1
            self._line.note("conflict", f"{change.saga_id} has moved on meanwhile")
        return stored

    async def markers(self, saga: str) -> Sequence[Marker | None]:
        """The markers; who finds all of them ready need not look again before something is lost."""
        NOTHING_LOST.set(False)
        markers = await self._markers(saga)
        NOTHING_LOST.set(self._servers.table.is_ready(saga))
        return markers

    async def begin_rebuild(self, saga: str, buckets: Collection[int], token: str) -> int:
        """Begin; what is being rebuilt may be lost again meanwhile."""
        generation = await self._begin_rebuild(saga, buckets, token)
        self._servers.story.seen["rebuild"] += 1
        self._line.note("rebuild", f"rebuilds {saga}")
        if self._line.chance.hits("table_losses", _LOST_AGAIN):
            self._lose()
        return generation

    async def due_timers(
        self, *, buckets: Collection[int], now_ms: int, limit: int
    ) -> Sequence[Timer]:
        """What is due; who finds nothing need not look again before something is."""
        due = await self._due_timers(buckets=buckets, now_ms=now_ms, limit=limit)
        if not due:
            self._clock.looked_in_vain = asyncio.current_task()
        return due


class FaultyBroker:
    """A ``Broker`` behind a worker's line; ``consumers`` are its members, in the order of their making."""

    def __init__(self, servers: Servers, line: Line, published: Callable[[Record], None]) -> None:
        self.consumers: list[FaultyConsumer] = []
        self._servers = servers
        self._line = line
        self._published = published

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def publish(self, record: OutgoingRecord) -> None:
        """Publish over the line."""

        async def publish() -> None:
            self._published(await self._servers.broker.append(record))

        await self._line.call("publish", BrokerUnavailable, publish)

    def consumer(
        self,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
        seldom: Mapping[str, int] = MappingProxyType({}),  # noqa: ARG002 - all in memory
    ) -> FaultyConsumer:
        """A member of a group."""
        self.consumers = [one for one in self.consumers if not one.is_gone]
        consumer = FaultyConsumer(self._servers, self._line, topics, group, listener)
        self.consumers.append(consumer)
        return consumer


class FaultyReader:
    """A ``TopicReader`` behind a worker's line. What is read may be older than what is there meanwhile."""

    def __init__(self, servers: Servers, line: Line) -> None:
        self._broker = servers.broker
        self._line = line

    async def describe_topics(self) -> Mapping[str, TopicDescription]:
        """All topics."""
        return await self._line.call("describe", BrokerUnavailable, self._broker.describe_topics)

    async def read_partitions(
        self, partitions: Collection[TopicPartition]
    ) -> AsyncIterator[Record]:
        """Read; the line may break at any record."""

        async def read() -> list[Record]:
            return [record async for record in self._broker.read_partitions(partitions)]

        for number, record in enumerate(
            await self._line.call("read", BrokerUnavailable, read, risk=_RISK)
        ):
            if number % _RECORDS_AT_ONCE == _RECORDS_AT_ONCE - 1:
                await self._line.call("read", BrokerUnavailable, _nothing)
            yield record

    async def retention_ms(self, topics: Collection[str]) -> Mapping[str, int]:
        """How long topics are kept."""
        return await self._broker.retention_ms(topics)


class FaultyConsumer:
    """A ``Consumer`` behind a worker's line. One that could not start is of no use any more.

    Whatever the group does, it does on the server's behalf and not on the worker's: it outlives it.
    """

    def __init__(
        self,
        servers: Servers,
        line: Line,
        topics: frozenset[str],
        group: str,
        listener: RebalanceListener,
    ) -> None:
        self.topics, self.group = topics, group
        self.is_gone = False
        self._line = line
        self._listener = listener
        self._worker = line.process.context()
        self._paused: set[TopicPartition] = set()
        self._started = False
        self._generation = 0
        self._story = servers.story
        self._inner: MemoryConsumer = servers.broker.consumer(topics, group=group, listener=self)

    async def start(self) -> None:
        """Join the group, or be lost."""
        if self._started:
            raise ContractViolation("a consumer starts once: ask the broker for a new one")
        self._started = True
        try:
            await self._line.call("start", BrokerUnavailable, self._join)
        except BaseException:
            self.vanish()
            raise

    async def _join(self) -> None:
        if self.is_gone:
            raise BrokerUnavailable("the group has given the member up before it had joined")
        await asyncio.get_running_loop().create_task(self._inner.start(), context=Context())

    async def stop(self) -> None:
        """Leave the group."""
        self.vanish()

    def vanish(self) -> None:
        """Be gone, as far as the group knows; the worker learns of it when it polls."""
        if not self.is_gone:
            self.is_gone = True
            Context().run(self._inner.crash)

    def interrupt(self) -> None:
        """Let a poll that waits return."""
        self._inner.interrupt()

    async def poll(self, *, records_max: int, timeout_ms: int) -> Sequence[Record]:
        """Return what is there, in any order that the partitions allow."""
        # A poll that has taken records and loses them would lose them for good: aiokafka does not.
        await self._line.call("poll", BrokerUnavailable, _nothing, at_once=True)
        records = await self._inner.poll(records_max=records_max, timeout_ms=timeout_ms)
        self._line.check()
        return self._arranged(records) if records else records

    def _arranged(self, records: Sequence[Record]) -> Sequence[Record]:
        chance, draw = self._line.chance, self._line.chance.of("order")
        if chance.hits("deletions", 0.1):
            gone = draw.choice(records)
            self._line.note("deleted", f"retention takes {_place(gone)} before it was read")
            records = [record for record in records if record is not gone]
        partitions: dict[TopicPartition, list[Record]] = {}
        for record in records:
            partitions.setdefault(record.topic_partition, []).append(record)
        if chance.hits("reorderings", 0.2):
            order = list(partitions)
            draw.shuffle(order)
            records = [record for partition in order for record in partitions[partition]]
            self._hold(draw.choice(order), draw.uniform(*_LATER_S))
        return records

    def _hold(self, partition: TopicPartition, seconds: float) -> None:
        """What comes next in one partition comes later than the rest."""
        self._inner.pause(frozenset({partition}))
        asyncio.get_running_loop().call_later(seconds, self._let_go, partition, context=Context())

    def _let_go(self, partition: TopicPartition) -> None:
        if partition not in self._paused:
            self._inner.resume(frozenset({partition}))

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver nothing of these partitions for now."""
        self._paused |= partitions
        self._inner.pause(partitions)

    def resume(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver these partitions again."""
        self._paused -= partitions
        self._inner.resume(partitions)

    async def behind(self) -> Mapping[TopicPartition, int]:
        """How many records of each partition were not delivered yet."""
        return await self._line.call("behind", BrokerUnavailable, self._inner.behind)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit over the line. A commit that arrives after a rebalance is of an old generation."""
        generation = self._generation

        async def commit() -> None:
            if generation != self._generation:
                raise BrokerUnavailable("the group has been rebalanced since the commit was sent")
            await self._inner.commit(offsets)

        await self._line.call("commit", BrokerUnavailable, commit)

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """The group tells the worker, in the worker's name."""
        self._paused.clear()
        self._generation += 1
        if not self._line.process.dead:
            self._worker.copy().run(self._listener.assigned, partitions)

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """The group waits for the worker, which may not live to answer."""
        if self._line.process.dead:
            return
        await asyncio.get_running_loop().create_task(
            self._listener.revoked(partitions), context=self._worker.copy()
        )


async def _nothing() -> None:
    pass


def _place(record: Record) -> str:
    return f"{record.topic}-{record.partition}-{record.offset}"
