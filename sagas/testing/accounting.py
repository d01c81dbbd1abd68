"""The memory broker, with accounts: what is there, what was delivered, what was acknowledged.

Owns the numbers from which the environment knows that nothing is on its way. Changes nothing of
what passes through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from sagas.adapters.memory.broker import MemoryBroker
from sagas.ports import OutgoingRecord, RebalanceListener, Record, TopicPartition

__all__ = ["WatchedBroker", "WatchedConsumer"]


class WatchedBroker:
    """A ``Broker``. ``activity`` grows with all that is published, delivered or committed."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._counted: dict[str, int] = {}
        self._ends: Counter[TopicPartition] = Counter()
        self._committed: dict[str, dict[TopicPartition, int]] = {}
        self.consumers: dict[str, WatchedConsumer] = {}
        self.topics: dict[str, None] = {}
        self.activity = 0

    async def start(self) -> None:
        """Nothing to connect to."""
        await self._broker.start()

    async def stop(self) -> None:
        """Nothing to close."""
        await self._broker.stop()

    async def publish(self, record: OutgoingRecord) -> None:
        """Publish, as the memory broker does."""
        self.activity += 1
        self.topics[record.topic] = None
        await self._broker.publish(record)

    def consumer(
        self,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
        seldom: Mapping[str, int] = MappingProxyType({}),  # noqa: ARG002 - all in memory
    ) -> WatchedConsumer:
        """A member of ``group``; ``consumers`` has the latest of each group."""
        self.topics.update(dict.fromkeys(sorted(topics)))
        consumer = WatchedConsumer(self, self._broker, topics, group=group, listener=listener)
        self.consumers[group] = consumer
        return consumer

    def records(self, topic: str) -> Sequence[Record]:
        """All records of a topic in the order of publishing."""
        return self._broker.records(topic)

    def ends(self, topics: frozenset[str]) -> Iterator[tuple[TopicPartition, int]]:
        """Each partition that holds records, with the offset behind its last one."""
        for topic in topics:
            records = self._broker.records(topic)
            for record in records[self._counted.get(topic, 0) :]:
                self._ends[record.topic_partition] = record.offset + 1
            self._counted[topic] = len(records)
        for partition, end in self._ends.items():
            if partition.topic in topics:
                yield partition, end

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """The next offset to read of each partition of which the group has committed one."""
        return self._committed.setdefault(group, {})


class WatchedConsumer:
    """A ``Consumer``, and the ``RebalanceListener`` between the memory consumer and the worker."""

    def __init__(
        self,
        watched: WatchedBroker,
        broker: MemoryBroker,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
    ) -> None:
        self.topics = topics
        self._group = group
        self._watched = watched
        self._listener = listener
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._consumer = broker.consumer(topics, group=group, listener=self)

    async def start(self) -> None:
        """Join the group."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Leave the group."""
        await self._consumer.stop()

    def crash(self) -> None:
        """Vanish without a word."""
        self._consumer.crash()

    async def poll(self, *, records_max: int, timeout_ms: int) -> Sequence[Record]:
        """Return what is there, and count it as delivered."""
        records = await self._consumer.poll(records_max=records_max, timeout_ms=timeout_ms)
        for record in records:
            self._positions[record.topic_partition] = record.offset + 1
        self._watched.activity += len(records)
        return records

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver nothing of these partitions for now."""
        self._paused |= partitions
        self._consumer.pause(partitions)

    def resume(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver these partitions again."""
        self._paused -= partitions
        self._consumer.resume(partitions)

    async def behind(self) -> Mapping[TopicPartition, int]:
        """How many records of each partition were not delivered yet."""
        return await self._consumer.behind()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record the next offset to read per partition."""
        await self._consumer.commit(offsets)
        self._watched.committed(self._group).update(offsets)
        self._watched.activity += 1

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Start counting from what is committed."""
        committed = self._watched.committed(self._group)
        self._positions = {partition: committed.get(partition, 0) for partition in partitions}
        self._paused.clear()
        self._listener.assigned(partitions)

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Nothing of these partitions counts as delivered any more, once the worker has let go."""
        await self._listener.revoked(partitions)
        self._positions.clear()

    def undelivered(self) -> Iterator[tuple[TopicPartition, int]]:
        """Partitions with records that the worker may get and has not yet, with their number."""
        for partition, end in self._watched.ends(self.topics):
            missing = end - self._positions.get(partition, 0)
            if missing > 0 and partition not in self._paused:
                yield partition, missing

    def unacknowledged(self) -> Iterator[tuple[TopicPartition, int]]:
        """Partitions with records behind the committed offset, with their number."""
        committed = self._watched.committed(self._group)
        for partition, end in self._watched.ends(self.topics):
            missing = end - committed.get(partition, 0)
            if missing > 0:
                yield partition, missing
