"""An in-memory broker with Kafka's semantics: topics, partitions, offsets, groups, redelivery.

It is server and client in one, for the embedded mode, tests and simulations: the records outlive
every consumer, and ``start`` and ``stop`` of the object lose nothing. Nothing outlives the process.
To be used from one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from sagas.adapters.memory.consumer import MemoryConsumer
from sagas.adapters.memory.group import Group
from sagas.adapters.memory.topic import Topic
from sagas.core.errors import ContractViolation, SettingsError
from sagas.ports import (
    Clock,
    MessageTooLarge,
    NewTopic,
    OutgoingRecord,
    RebalanceListener,
    Record,
    TopicDescription,
    TopicPartition,
)

__all__ = ["MemoryBroker"]

# What Kafka's own format adds to a record at most; a header adds some bytes of its own.
_RECORD_OVERHEAD_BYTES = 82
_HEADER_OVERHEAD_BYTES = 10

# A publisher that never waits for anything else must not keep consumers from running.
_RECORDS_A_TURN = 64


class MemoryBroker:
    """Broker and BrokerAdmin in this process's memory; one object may serve many services.

    ``auto_create`` makes a topic, with ``partitions_default`` partitions, where one is first named.
    ``poll_timeouts=False`` is for virtual time: a poll then ends only by a record or a stop.
    """

    def __init__(
        self,
        clock: Clock,
        partitions_default: int = 4,
        auto_create: bool = False,  # noqa: FBT001, FBT002 - named in every call
        *,
        record_max_bytes: int = 1_048_576,
        rebalance_timeout_ms: int = 60_000,
        poll_timeouts: bool = True,
    ) -> None:
        self._clock = clock
        self._partitions_default = partitions_default
        self._auto_create = auto_create
        self._record_max_bytes = record_max_bytes
        self._rebalance_timeout_ms = rebalance_timeout_ms
        self._poll_timeouts = poll_timeouts
        self._topics: dict[str, Topic] = {}
        self._groups: dict[str, Group] = {}
        self._retention_ms: dict[str, int] = {}
        self._published = 0

    # --- Broker --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Nothing to connect to. Safe to repeat."""

    async def stop(self) -> None:
        """Nothing to close: the records stay, as they would on a server. Safe to repeat."""

    async def publish(self, record: OutgoingRecord) -> None:
        """Store the record and wake who waits for it.

        Raises MessageTooLarge, and SettingsError for a topic that does not exist.
        """
        if record.key is None and record.value is None:
            raise ContractViolation(f"a record for {record.topic} needs a key or a value")
        size_bytes = _size_bytes(record)
        if size_bytes > self._record_max_bytes:
            raise MessageTooLarge(
                f"a record for {record.topic} has {size_bytes} bytes, "
                f"the limit is {self._record_max_bytes}: publish a reference instead"
            )
        self._topic(record.topic).append(record, timestamp_ms=self._clock.now_ms())
        self._published += 1
        if self._published % _RECORDS_A_TURN == 0:
            await asyncio.sleep(0)

    def consumer(
        self,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
        seldom: Mapping[str, int] = MappingProxyType({}),  # noqa: ARG002 - none costs anything here
    ) -> MemoryConsumer:
        """A member of ``group`` reading ``topics``; a new group starts at the earliest offset."""
        return MemoryConsumer(
            self._groups.setdefault(group, Group(self._topic)),
            topics,
            listener,
            clock=self._clock,
            rebalance_timeout_ms=self._rebalance_timeout_ms,
            poll_timeouts=self._poll_timeouts,
        )

    # --- BrokerAdmin ---------------------------------------------------------------------------

    async def describe_topics(self) -> Mapping[str, TopicDescription]:
        """All topics by name."""
        return {
            topic.name: TopicDescription(
                name=topic.name,
                partitions=len(topic.partitions),
                replication_factor=topic.replication_factor,
            )
            for topic in self._topics.values()
        }

    async def create_topics(self, topics: Sequence[NewTopic]) -> None:
        """Create topics; one that exists already is left as it is. Retention is told, and deletes nothing."""
        for new in topics:
            if new.name not in self._topics:
                self._retention_ms[new.name] = -1 if new.retention_ms is None else new.retention_ms
                self._topics[new.name] = Topic(
                    new.name, partitions=new.partitions, replication_factor=new.replication_factor
                )

    async def read_to_end(self, topic: str) -> AsyncIterator[Record]:
        """Every record that is there now, in offset order per partition; joins no group.

        Raises SettingsError for a topic that is missing.
        """
        for record in [one for part in self._topic(topic).partitions for one in part.log]:
            yield record

    async def read_partitions(
        self, partitions: Collection[TopicPartition]
    ) -> AsyncIterator[Record]:
        """Every record that is there now, in offset order for each partition."""
        there = [self._topic(topic).partitions[number].log for topic, number in partitions]
        for record in [one for log in there for one in log]:
            yield record

    async def read_last(
        self, partitions: Collection[TopicPartition], *, offsets: int
    ) -> AsyncIterator[Record]:
        """The records of the last so many offsets of each partition, in offset order."""
        there = [self._topic(topic).partitions[number].log for topic, number in partitions]
        for record in [one for log in there for one in log[-offsets:]]:
            yield record

    async def retention_ms(self, topics: Collection[str]) -> Mapping[str, int]:
        """What was said when a topic was created; for ever where nothing was said."""
        return {one: self._retention_ms.get(one, -1) for one in topics if one in self._topics}

    async def behind(
        self, groups: Mapping[str, Collection[str]]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        """How many records each group has not committed, by partition of its topics."""
        return {
            name: {
                partition.id: len(partition.log) - self._committed(name).get(partition.id, 0)
                for topic in topics
                if topic in self._topics
                for partition in self._topics[topic].partitions
            }
            for name, topics in groups.items()
        }

    def _committed(self, group: str) -> Mapping[TopicPartition, int]:
        return self._groups[group].committed if group in self._groups else {}

    # --- for tests and observers ---------------------------------------------------------------

    def records(self, topic: str) -> Sequence[Record]:
        """All records of a topic in the order of publishing: a live view, not to be changed."""
        return self._topic(topic).records

    def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            if not self._auto_create:
                raise SettingsError(
                    f"topic {name} does not exist: create it first, or give the broker "
                    "auto_create=True"
                )
            topic = self._topics[name] = Topic(name, partitions=self._partitions_default)
        return topic


def _size_bytes(record: OutgoingRecord) -> int:
    headers = record.headers
    return (
        _RECORD_OVERHEAD_BYTES
        + len(record.key or b"")
        + len(record.value or b"")
        + _HEADER_OVERHEAD_BYTES * len(headers)
        + sum(map(len, chain.from_iterable(headers)))
    )
