"""What the runtime needs of the world to bring back a saga table that was lost, as protocols.

Each saga has a *marker* in each bucket: ready under a generation, or being rebuilt under a token, or
missing, which means that what the bucket held of the saga is lost. By saga, because whoever rebuilds knows
the sagas that it takes part in, and no others. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from sagas.ports import (
    Record,
    RowChange,
    SagaTable,
    TableUnavailable,
    TopicDescription,
    TopicPartition,
)
from sagas.ports.listing import SagaListing

__all__ = [
    "ListedTable",
    "Marker",
    "RestorableTable",
    "TableLost",
    "TableRebuilding",
    "TailReader",
    "TopicReader",
]


class TableLost(TableUnavailable):
    """A bucket has no marker: what it held is gone, or was never there. It has to be rebuilt first."""


class TableRebuilding(TableUnavailable):
    """The bucket is being rebuilt from the topics: wait, then load again."""


class Marker(NamedTuple):
    """What a bucket's marker says. ``token`` is the rebuilder's; None for a bucket that is ready."""

    generation: int
    token: str | None = None


class RestorableTable(SagaTable, Protocol):
    """A saga table that knows what it has lost, and can be filled again by one rebuilder at a time.

    ``load`` raises TableLost or TableRebuilding instead of answering None where the marker says so;
    ``store`` raises them whatever the row, and answers False for a new row of another generation than the
    marker's.
    """

    def generation(self, saga: str, saga_id: str) -> int:
        """The generation for a new row, as the last ``load`` that found none has seen it.

        A stale one costs a conflict: the row is refused, and the next load sees the present one.
        """

    async def markers(self, saga: str) -> Sequence[Marker | None]:
        """The saga's marker in each bucket, by number; None where it is missing. Raises TableUnavailable."""

    async def lease(self, saga: str, token: str, *, ttl_ms: int) -> bool:
        """Take, or keep, the only lease on rebuilding the saga; False if somebody else has it.

        Safe to repeat.
        """

    async def release(self, saga: str, token: str) -> None:
        """Give the lease back, if it is still the token's."""

    async def begin_rebuild(self, saga: str, buckets: Collection[int], token: str) -> int:
        """Mark the buckets as being rebuilt by the token: from now on nobody creates or changes rows.

        Returns the highest generation that their markers knew, 0 if none did. Whoever was rebuilding
        them before is superseded. Safe to repeat.
        """

    async def restore(self, change: RowChange, token: str) -> bool:
        """Put the whole row in place of whatever is there, with its index entry and timers.

        ``expected`` is not looked at. False, changing nothing, if the bucket is not being rebuilt by the
        token any more. Safe to repeat.
        """

    async def finish_rebuild(
        self, saga: str, buckets: Collection[int], token: str, generation: int
    ) -> bool:
        """Mark the buckets as ready under the generation; False if one was not the token's any more.

        Safe to repeat: a bucket that is ready under this generation already counts as done.
        """

    async def saga_ids(self, saga: str, bucket: int) -> Sequence[str]:
        """The instances that the bucket's index lists, in no order."""

    async def sweep(self, saga: str, *, before_ms: int, limit: int) -> int:
        """Forget instances that have ended and were last changed before that moment, with their index
        entries; at most ``limit`` for each bucket and status. Returns how many. Safe to repeat.
        """


class ListedTable(RestorableTable, Protocol):
    """A saga table that can be looked through."""

    @property
    def listing(self) -> SagaListing:
        """Its index."""


class TopicReader(Protocol):
    """Reads topics to their present end, and knows how long they keep what they hold."""

    async def describe_topics(self) -> Mapping[str, TopicDescription]:
        """All topics by name. Raises BrokerUnavailable."""

    def read_partitions(self, partitions: Collection[TopicPartition]) -> AsyncIterator[Record]:
        """Every record that these partitions hold now, in offset order for each; joins no group.

        Raises BrokerUnavailable rather than end early. The partitions must be there.
        """

    async def retention_ms(self, topics: Collection[str]) -> Mapping[str, int]:
        """How long each topic keeps a record at least; -1 for ever. A topic that is missing is left out.

        Raises BrokerUnavailable.
        """


class TailReader(Protocol):
    """Reads the ends of topics."""

    async def describe_topics(self) -> Mapping[str, TopicDescription]:
        """All topics by name. Raises BrokerUnavailable."""

    def read_last(
        self, partitions: Collection[TopicPartition], *, offsets: int
    ) -> AsyncIterator[Record]:
        """The records of the last so many offsets of each partition, in offset order; joins no group.

        Raises BrokerUnavailable rather than end early. The partitions must be there.
        """
