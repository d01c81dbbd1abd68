"""What the runtime needs of the world, as protocols: broker, saga table, journal, outbox, clock, ids.

Every adapter of a port passes the same contract suite (``tests/contract``); where an adapter on memory
and one on a real server differ, the one on memory is wrong. Nothing here does I/O.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from sagas.core.errors import InvalidMessage, RetriableError
from sagas.ports.participant import (
    InstanceKey,
    Journal,
    JournalKey,
    JournalOutcome,
    JournalUnavailable,
    Outbox,
    PrunableJournal,
    Superseded,
    Tombstone,
)
from sagas.ports.records import OutgoingRecord
from sagas.wire.headers import Headers

__all__ = [
    "BUCKETS",
    "Broker",
    "BrokerAdmin",
    "BrokerUnavailable",
    "Clock",
    "Consumer",
    "Ids",
    "InstanceKey",
    "Journal",
    "JournalKey",
    "JournalOutcome",
    "JournalUnavailable",
    "Listed",
    "MessageTooLarge",
    "NewTopic",
    "Outbox",
    "OutgoingRecord",
    "PrunableJournal",
    "RebalanceListener",
    "Record",
    "Row",
    "RowChange",
    "SagaTable",
    "Stamp",
    "Superseded",
    "TableUnavailable",
    "Timer",
    "Tombstone",
    "TopicDescription",
    "TopicPartition",
    "bucket_of",
]


class BrokerUnavailable(RetriableError):
    """The broker did not confirm: the record may or may not be there. Publish it again."""


class MessageTooLarge(InvalidMessage):
    """The broker refuses the record for its size, and always will."""


class TableUnavailable(RetriableError):
    """The saga table did not answer: a write may or may not be there. Send it again."""


# --- broker -----------------------------------------------------------------------------------------


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Record(NamedTuple):
    """A record as it was read: bytes untouched."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int

    @property
    def topic_partition(self) -> TopicPartition:
        """Where the record was read."""
        return TopicPartition(self.topic, self.partition)


class RebalanceListener(Protocol):
    """Told when the partitions of a consumer change hands. Errors in a listener are the listener's."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions were given to this consumer; no record of theirs was delivered yet."""

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions are about to be taken away: finish, bounded in time, and commit. Another member
        gets them only after this returns (or the rebalance timeout).
        """


class Consumer(Protocol):
    """One member of a consumer group. At-least-once: what is not committed is delivered again to
    whoever gets the partition next, from the committed offset on.
    """

    async def start(self) -> None:
        """Join the group. Raises BrokerUnavailable."""

    async def stop(self) -> None:
        """Leave the group. Commits nothing and does not call the listener."""

    async def poll(self, *, records_max: int, timeout_ms: int) -> Sequence[Record]:
        """Return what is there, in offset order per partition; wait up to the timeout if nothing is."""

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver nothing of these partitions until they are resumed. A rebalance forgets pauses."""

    def resume(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver these partitions again, from where the consumer stood."""

    async def behind(self) -> Mapping[TopicPartition, int]:
        """How many records of each of its partitions were not delivered to it yet, as of now.

        Raises BrokerUnavailable. May be called beside ``poll``.
        """

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record the next offset to read per partition. Raises BrokerUnavailable, also when the
        partition is no longer this member's; safe to repeat.
        """


class Broker(Protocol):
    """Publishes and consumes. One object serves one process."""

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable."""

    async def stop(self) -> None:
        """Close producer and connections; bounded in time."""

    async def publish(self, record: OutgoingRecord) -> None:
        """Return once the record is acknowledged by all in-sync replicas.

        At-least-once: after BrokerUnavailable the record may be there, publish it again. Raises
        MessageTooLarge for a record that can never be published. Batches with concurrent calls.
        """

    def consumer(
        self,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
        seldom: Mapping[str, int] = MappingProxyType({}),
    ) -> Consumer:
        """A member of ``group`` reading ``topics``; a new group starts at the earliest offset.

        Nothing on the topics of ``seldom`` is in a hurry: while records come, theirs may be delivered later
        by so many milliseconds.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTopic:
    """A topic to create. ``retention_ms`` None leaves the broker's default; -1 keeps for ever."""

    name: str
    partitions: int
    replication_factor: int = 1
    retention_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDescription:
    """A topic as the broker has it."""

    name: str
    partitions: int
    replication_factor: int


class BrokerAdmin(Protocol):
    """Looks at topics, reads and creates them. Never deletes or shrinks."""

    async def describe_topics(self) -> Mapping[str, TopicDescription]:
        """All topics by name. Raises BrokerUnavailable."""

    async def create_topics(self, topics: Sequence[NewTopic]) -> None:
        """Create topics; one that exists already is left as it is. Raises BrokerUnavailable, or
        SettingsError where the broker refuses a topic, saying why.
        """

    def read_to_end(self, topic: str) -> AsyncIterator[Record]:
        """Every record that is in the topic now, in offset order per partition; joins no group. Raises
        BrokerUnavailable rather than end early, and SettingsError for a topic that is missing.
        """


# --- saga table -------------------------------------------------------------------------------------


class Stamp(NamedTuple):
    """What a compare-and-set compares: the table's generation and the row's version (from 1)."""

    generation: int
    version: int


class Row(NamedTuple):
    """A saga instance as stored. ``events`` is empty unless asked for: stored bytes by slot.

    Of an event that was forgotten there are none; the state has the rest of it. ``notes`` are hints of what
    is under way, by name: no part of the instance, and lost with the table. ``content`` is the digest of
    what the start says, empty if it was never told.
    """

    stamp: Stamp
    state: bytes
    events: Mapping[str, bytes] = MappingProxyType({})
    notes: Mapping[str, str] = MappingProxyType({})
    content: str = ""


class RowChange(NamedTuple):
    """One atomic write: the new state, its index entry, the events recorded with it, and its timers:
    those to be set, with when they are due in milliseconds since the epoch, and those to be cleared,
    each with the note of its name.

    ``expected`` None means that the row must not exist. ``token`` is unique to this change: a change
    that is sent twice, because its reply was lost, is stored once and reported as stored both times,
    unless another change came in between: then the second answer is False, and a reload shows the rest.
    ``content`` is the digest of what the start says; empty, the row keeps the one it has. Neither has
    white space.
    """

    saga: str
    saga_id: str
    expected: Stamp | None
    stamp: Stamp
    status: str
    state: bytes
    events: Mapping[str, bytes]
    at_ms: int
    token: str
    timers_set: Mapping[str, int] = MappingProxyType({})
    timers_cleared: Collection[str] = ()
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A line of the table's index."""

    saga: str
    saga_id: str
    status: str
    changed_at_ms: int


BUCKETS = 64
"""A saga instance, its timers and its index entries live in one of so many buckets, by its saga id."""


def bucket_of(saga_id: str) -> int:
    """The bucket of a saga instance: a hash of its id that every process and version computes alike."""
    return crc32(saga_id.encode()) % BUCKETS


class Timer(NamedTuple):
    """A timer of a saga instance; ``name`` is a step's, or one of the framework's."""

    saga: str
    saga_id: str
    name: str
    due_ms: int


class SagaTable(Protocol):
    """One row per saga instance, changed by compare-and-set only. An index: Kafka is the truth."""

    async def start(self) -> None:
        """Connect. Raises TableUnavailable, or SettingsError for a server that may drop keys."""

    async def stop(self) -> None:
        """Close the connections."""

    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        """The row, or None. Raises TableUnavailable, ContractViolation if damaged. Calls travel together."""

    async def store(self, change: RowChange) -> bool:
        """Apply the change if the row's stamp is as expected: True; else change nothing: False.

        Raises TableUnavailable when the outcome is not known: send the same change again.
        """

    async def forget_events(self, saga: str, saga_id: str, slots: Collection[str]) -> None:
        """Drop the bytes of recorded events. Changes no stamp, and nothing else of the row.

        Only of events that are known to be on Kafka, and that nobody needs from the row: of a saga that
        has ended, or of those that nothing follows (``Definition.leaves``). Safe to repeat, and without a
        row. Raises TableUnavailable.
        """

    async def list_sagas(
        self, saga: str, *, statuses: Sequence[str], limit: int
    ) -> Sequence[Listed]:
        """Instances of one saga in any of the statuses, last changed first."""

    async def due_timers(
        self, *, buckets: Collection[int], now_ms: int, limit: int
    ) -> Sequence[Timer]:
        """Timers due by now in these of the table's ``BUCKETS``, earliest first in each."""

    async def postpone_timer(self, timer: Timer, due_ms: int) -> bool:
        """Move a timer that is still set; False, changing nothing, if it was cleared. Safe to repeat."""

    async def annotate(
        self, saga: str, saga_id: str, name: str, note: str | None, *, due_ms: int | None = None
    ) -> bool:
        """Keep a note beside a row that is there, in place of an earlier one of that name, and set the
        timer of that name if ``due_ms`` is given. Without a note, remove both. Changes no stamp.

        False, changing nothing, if there is no row. Safe to repeat. Raises TableUnavailable.
        """

    async def list_timers(self, saga: str, *, limit: int) -> Sequence[Timer]:
        """The timers of one saga's instances, earliest first."""

    async def count_sagas(self, saga: str, *, statuses: Sequence[str]) -> Mapping[str, int]:
        """How many instances stand in each of the statuses."""


# --- time and chance --------------------------------------------------------------------------------


class Clock(Protocol):
    """Time, real or virtual."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass."""


class Ids(Protocol):
    """Unique names that nothing else may be derived from."""

    def new(self) -> str:
        """Thirty-two hex digits."""
