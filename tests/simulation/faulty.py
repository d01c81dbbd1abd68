"""The ports of a world in which every call may be slow, be lost, or take effect unheard.

Each wraps an adapter on memory and asks ``Trouble`` before and after the call. What it raises is what the
port promises to raise, so whoever uses the port has to cope.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.consumer import MemoryConsumer
from sagas.adapters.memory.journal import MemoryJournal
from sagas.adapters.memory.table import MemorySagaTable
from sagas.core.errors import ContractViolation, RetriableError
from sagas.ports import (
    BrokerUnavailable,
    JournalKey,
    JournalOutcome,
    JournalUnavailable,
    Listed,
    OutgoingRecord,
    RebalanceListener,
    Record,
    Row,
    RowChange,
    TableUnavailable,
    Timer,
    TopicDescription,
    TopicPartition,
)
from sagas.restoring import Marker

__all__ = [
    "FaultyBroker",
    "FaultyConsumer",
    "FaultyJournal",
    "FaultyReader",
    "FaultyTable",
    "Trouble",
]

T = TypeVar("T")


class Trouble:
    """Chance, with a seed: how slow a call is, and whether it or its reply is lost."""

    def __init__(self, seed: int, *, lost: float, slow_s: float = 0.05) -> None:
        self.seen: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._lost = lost
        self._slow_s = slow_s

    def heal(self) -> None:
        """From now on nothing is lost."""
        self._lost = 0.0

    async def call(
        self, name: str, error: type[RetriableError], call: Callable[[], Awaitable[T]]
    ) -> T:
        """Make the call, or lose it, or lose its reply."""
        await self.delay()
        if self._hits():
            self.seen[f"{name} lost"] += 1
            raise error(f"{name}: lost on the way there")
        result = await call()
        await self.delay()
        if self._hits():
            self.seen[f"{name} unheard"] += 1
            raise error(f"{name}: the reply is lost")
        return result

    async def delay(self) -> None:
        """A call takes its time, sometimes a long one."""
        slow = self._random.random() < 0.05
        await asyncio.sleep(self._random.random() * self._slow_s * (20 if slow else 1))

    def _hits(self) -> bool:
        return self._random.random() < self._lost


class FaultyTable:
    """A ``SagaTable`` behind a bad line."""

    def __init__(self, table: MemorySagaTable, trouble: Trouble) -> None:
        self._table = table
        self._trouble = trouble

    async def start(self) -> None:
        await self._table.start()

    async def stop(self) -> None:
        await self._table.stop()

    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        return await self._trouble.call(
            "load", TableUnavailable, lambda: self._table.load(saga, saga_id, events=events)
        )

    async def store(self, change: RowChange) -> bool:
        stored = await self._trouble.call(
            "store", TableUnavailable, lambda: self._table.store(change)
        )
        self._trouble.seen["conflict"] += not stored
        return stored

    async def list_sagas(
        self, saga: str, *, statuses: Sequence[str], limit: int
    ) -> Sequence[Listed]:
        return await self._table.list_sagas(saga, statuses=statuses, limit=limit)

    async def count_sagas(self, saga: str, *, statuses: Sequence[str]) -> Mapping[str, int]:
        return await self._table.count_sagas(saga, statuses=statuses)

    async def due_timers(
        self, *, buckets: Collection[int], now_ms: int, limit: int
    ) -> Sequence[Timer]:
        return await self._trouble.call(
            "due_timers",
            TableUnavailable,
            lambda: self._table.due_timers(buckets=buckets, now_ms=now_ms, limit=limit),
        )

    async def postpone_timer(self, timer: Timer, due_ms: int) -> bool:
        return await self._trouble.call(
            "postpone_timer",
            TableUnavailable,
            lambda: self._table.postpone_timer(timer, due_ms),
        )

    async def annotate(
        self, saga: str, saga_id: str, name: str, note: str | None, *, due_ms: int | None = None
    ) -> bool:
        return await self._trouble.call(
            "annotate",
            TableUnavailable,
            lambda: self._table.annotate(saga, saga_id, name, note, due_ms=due_ms),
        )

    async def forget_events(self, saga: str, saga_id: str, slots: Collection[str]) -> None:
        await self._trouble.call(
            "forget_events",
            TableUnavailable,
            lambda: self._table.forget_events(saga, saga_id, slots),
        )

    async def list_timers(self, saga: str, *, limit: int) -> Sequence[Timer]:
        return await self._table.list_timers(saga, limit=limit)

    def generation(self, saga: str, saga_id: str) -> int:
        return self._table.generation(saga, saga_id)

    async def markers(self, saga: str) -> Sequence[Marker | None]:
        return await self._call("markers", lambda: self._table.markers(saga))

    async def lease(self, saga: str, token: str, *, ttl_ms: int) -> bool:
        return await self._call("lease", lambda: self._table.lease(saga, token, ttl_ms=ttl_ms))

    async def release(self, saga: str, token: str) -> None:
        await self._call("release", lambda: self._table.release(saga, token))

    async def begin_rebuild(self, saga: str, buckets: Collection[int], token: str) -> int:
        return await self._call("begin", lambda: self._table.begin_rebuild(saga, buckets, token))

    async def restore(self, change: RowChange, token: str) -> bool:
        return await self._call("restore", lambda: self._table.restore(change, token))

    async def finish_rebuild(
        self, saga: str, buckets: Collection[int], token: str, generation: int
    ) -> bool:
        return await self._call(
            "finish", lambda: self._table.finish_rebuild(saga, buckets, token, generation)
        )

    async def saga_ids(self, saga: str, bucket: int) -> Sequence[str]:
        return await self._table.saga_ids(saga, bucket)

    async def sweep(self, saga: str, *, before_ms: int, limit: int) -> int:
        return await self._call(
            "sweep", lambda: self._table.sweep(saga, before_ms=before_ms, limit=limit)
        )

    async def _call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self._trouble.call(name, TableUnavailable, call)


class FaultyBroker:
    """A ``Broker`` behind a bad line; ``consumers`` are its members, in the order of their making."""

    def __init__(self, broker: MemoryBroker, trouble: Trouble) -> None:
        self.consumers: list[FaultyConsumer] = []
        self._broker = broker
        self._trouble = trouble

    async def start(self) -> None:
        await self._broker.start()

    async def stop(self) -> None:
        await self._broker.stop()

    async def publish(self, record: OutgoingRecord) -> None:
        await self._trouble.call("publish", BrokerUnavailable, lambda: self._broker.publish(record))

    def consumer(
        self,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
        seldom: Mapping[str, int] = MappingProxyType({}),
    ) -> FaultyConsumer:
        member = self._broker.consumer(topics, group=group, listener=listener)
        consumer = FaultyConsumer(member, self._trouble)
        self.consumers.append(consumer)
        return consumer


class FaultyConsumer:
    """A ``Consumer`` behind a bad line. One that could not start is of no use any more."""

    def __init__(self, consumer: MemoryConsumer, trouble: Trouble) -> None:
        self._consumer = consumer
        self._trouble = trouble
        self._started = False
        self._joined = False

    async def start(self) -> None:
        if self._started:
            raise ContractViolation("a consumer starts once: ask the broker for a new one")
        self._started = True
        try:
            await self._trouble.call("start", BrokerUnavailable, self._join)
        except BaseException:
            self._consumer.crash()
            raise

    async def _join(self) -> None:
        self._joined = True
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()

    def crash(self) -> None:
        """Vanish from the group."""
        if self._joined:
            self._consumer.crash()

    async def poll(self, *, records_max: int, timeout_ms: int) -> Sequence[Record]:
        async def nothing() -> None:
            pass

        # A poll that has taken records and loses them would lose them for good: aiokafka does not.
        await self._trouble.call("poll", BrokerUnavailable, nothing)
        return await self._consumer.poll(records_max=records_max, timeout_ms=timeout_ms)

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        self._consumer.pause(partitions)

    def resume(self, partitions: frozenset[TopicPartition]) -> None:
        self._consumer.resume(partitions)

    async def behind(self) -> Mapping[TopicPartition, int]:
        return await self._consumer.behind()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._trouble.call(
            "commit", BrokerUnavailable, lambda: self._consumer.commit(offsets)
        )


class FaultyReader:
    """A ``TopicReader`` behind a bad line, which may break in the middle."""

    def __init__(self, broker: MemoryBroker, trouble: Trouble) -> None:
        self._broker = broker
        self._trouble = trouble

    async def describe_topics(self) -> Mapping[str, TopicDescription]:
        return await self._trouble.call("describe", BrokerUnavailable, self._broker.describe_topics)

    async def read_partitions(
        self, partitions: Collection[TopicPartition]
    ) -> AsyncIterator[Record]:
        number = 0
        async for record in self._broker.read_partitions(partitions):
            if number % 8 == 0:
                await self._trouble.call("read", BrokerUnavailable, _nothing)
            number += 1
            yield record

    async def retention_ms(self, topics: Collection[str]) -> Mapping[str, int]:
        return await self._broker.retention_ms(topics)


async def _nothing() -> None:
    pass


class FaultyJournal:
    """A ``Journal`` whose transaction may not begin, or commit unheard."""

    def __init__(self, journal: MemoryJournal, trouble: Trouble) -> None:
        self._journal = journal
        self._trouble = trouble

    async def forward(
        self,
        key: JournalKey,
        action: Callable[[object], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        return await self._trouble.call(
            "forward",
            JournalUnavailable,
            lambda: self._journal.forward(key, action, since_ms=since_ms),
        )

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        return await self._trouble.call(
            "undo",
            JournalUnavailable,
            lambda: self._journal.undo(key, action, since_ms=since_ms),
        )
