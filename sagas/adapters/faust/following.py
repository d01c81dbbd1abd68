"""What is followed for, as a protocol: the fold behind a worker of Faust.

Owns no state. Faust's part is to bring records, to look at the clock, to keep what is to be kept, and to
serve views; what they mean is the follower's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from sagas.ports import Record, TopicPartition

__all__ = ["Follower"]


class Follower(Protocol):
    """Folds records into views. One thread calls it, and no call waits for anything.

    It knows by itself where it is: records may come twice, and positions are asked of it, not of the group.
    """

    @property
    def topics(self) -> frozenset[str]:
        """What is to be followed."""

    def follow(self, partitions: Collection[TopicPartition], now_ms: int) -> None:
        """These partitions are ours from now on, and no others. Times are milliseconds since the epoch."""

    def measure(self, ends: Mapping[TopicPartition, int], asked_ms: int) -> None:
        """How far the partitions reach: the next offset of each, asked for at that moment or later."""

    def position(self, partition: TopicPartition) -> int | None:
        """The offset at which to go on; None for the first one that there is."""

    def observe(self, record: Record, now_ms: int) -> None:
        """Take note of a record, in the order of each partition."""

    def look(self, now_ms: int) -> None:
        """By a timer: do what needs no record."""

    def changes(self) -> Mapping[str, bytes | None]:
        """What has to be kept since this was asked last, offsets included; None for what goes."""

    def put_back(self, kept: Mapping[str, bytes]) -> bool:
        """Begin with what was kept; False if that is good for nothing any more."""

    def views(self, *, windows: int) -> dict[str, Any]:
        """What is shown, by name, as documents for JSON; of the last so many windows."""
