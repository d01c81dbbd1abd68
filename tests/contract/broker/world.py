"""What the contract suite of the broker needs: a listener that remembers, and readers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from sagas.ports import (
    Broker,
    BrokerAdmin,
    Consumer,
    OutgoingRecord,
    RebalanceListener,
    Record,
    TopicPartition,
)

DEADLINE_S = 60

Drain = Callable[[frozenset[TopicPartition]], Awaitable[None]]


@dataclass
class Listener:
    """Remembers what it was told; waits in ``revoked`` for as long as the test's drain does."""

    drain: Drain | None = None
    log: list[str] = field(default_factory=list)
    owned: frozenset[TopicPartition] = frozenset()
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.owned = partitions
        self.log.append("assigned")
        self.told.set()

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        assert partitions == self.owned
        self.log.append("revoked")
        self.told.set()
        if self.drain is not None:
            await self.drain(partitions)
        self.owned = frozenset()
        self.log.append("drained")
        self.told.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; looked at whenever this listener is told something."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.told.clear()
                await self.told.wait()


@dataclass
class World:
    """A broker, its admin, and consumers that are stopped when the test ends."""

    broker: Broker
    admin: BrokerAdmin
    topic: str
    group: str
    consumers: list[Consumer] = field(default_factory=list)

    def member(
        self,
        listener: RebalanceListener | None = None,
        *,
        group: str | None = None,
        seldom: frozenset[str] = frozenset(),
    ) -> Consumer:
        """A consumer, not started yet, of the topic and of those that are seldom needed."""
        consumer = self.broker.consumer(
            frozenset({self.topic}) | seldom,
            group=group or self.group,
            listener=listener or Listener(),
            seldom=dict.fromkeys(seldom, 50),
        )
        self.consumers.append(consumer)
        return consumer

    async def join(
        self, listener: RebalanceListener | None = None, *, group: str | None = None
    ) -> Consumer:
        """A consumer that is a member of its group."""
        consumer = self.member(listener, group=group)
        async with asyncio.timeout(DEADLINE_S):
            await consumer.start()
        return consumer

    async def publish(self, values: Iterable[bytes], *, key: bytes | None = None) -> None:
        """One record after the other; without a key, each value is its own key."""
        async with asyncio.timeout(DEADLINE_S):
            for value in values:
                await self.broker.publish(OutgoingRecord(self.topic, key or value, value))

    async def close(self) -> None:
        """Stop what was started."""
        for consumer in self.consumers:
            await consumer.stop()


async def read(consumer: Consumer, count: int) -> list[Record]:
    """Poll until that many records came, and see that no more than asked for come at once."""
    records: list[Record] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(records) < count:
            some = await consumer.poll(records_max=count - len(records), timeout_ms=200)
            assert len(some) <= count - len(records)
            records.extend(some)
    return records


def values(records: Iterable[Record]) -> set[bytes]:
    """The records' values."""
    return {record.value or b"" for record in records}


def next_offsets(records: Iterable[Record]) -> dict[TopicPartition, int]:
    """What to commit when all these records are finished."""
    return {record.topic_partition: record.offset + 1 for record in records}
