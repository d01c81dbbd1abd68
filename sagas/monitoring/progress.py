"""How far the topics are read: the next offset of each partition, and the moment up to which nothing is
missing.

Owns the positions. Knows no clock: it is told when a record came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from sagas.ports import Record, TopicPartition

__all__ = ["Place", "Progress"]

_SILENT_MS = 10_000
"""Of a partition that has more, something comes in that time. The end of one to which others write in
transactions is never reached: its last offset is no record.
"""


class Place(NamedTuple):
    """The next offset of a partition, and the time of its last record in milliseconds since the epoch."""

    offset: int
    newest_ms: int


class Progress:
    """Where an observer of the topics is. ``followed`` are the partitions that it was given."""

    def __init__(self) -> None:
        self.followed: frozenset[TopicPartition] = frozenset()
        self._places: dict[TopicPartition, Place] = {}
        self._heard_ms: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, Place] = {}
        self._touched: set[TopicPartition] = set()

    def follow(self, partitions: Collection[TopicPartition], now_ms: int) -> None:
        """These are followed from now on, and no others."""
        for partition in frozenset(partitions) - self.followed:
            self._heard_ms[partition] = now_ms
        self.followed = frozenset(partitions)

    def measure(self, ends: Mapping[TopicPartition, int], asked_ms: int) -> None:
        """These were the next offsets to be written, asked for at that moment or later."""
        self._ends.update({one: Place(offset, asked_ms) for one, offset in ends.items()})

    def note(self, record: Record, now_ms: int) -> bool:
        """Take note that a record came; False if it has come before."""
        partition = TopicPartition(record.topic, record.partition)
        place = self._places.get(partition, _BEGINNING)
        self._heard_ms[partition] = now_ms
        if record.offset < place.offset:
            return False
        newest_ms = max(place.newest_ms, min(record.timestamp_ms, now_ms))
        self._places[partition] = Place(record.offset + 1, newest_ms)
        self._touched.add(partition)
        return True

    def place_of(self, partition: TopicPartition) -> Place | None:
        """Where to go on; None for a partition of which nothing was read yet."""
        return self._places.get(partition)

    def passed_ms(self) -> int:
        """The moment up to which all partitions are read: 0 while one of them may have anything at all. While
        the broker does not answer it stands still.
        """
        return min(map(self._passed_ms, self.followed), default=0)

    def _passed_ms(self, partition: TopicPartition) -> int:
        place = self._places.get(partition, _BEGINNING)
        end = self._ends.get(partition)
        if end is None:
            return place.newest_ms
        silent = end.newest_ms - self._heard_ms[partition] >= _SILENT_MS
        reached = place.offset >= end.offset or silent
        return max(place.newest_ms, end.newest_ms) if reached else place.newest_ms

    @property
    def behind(self) -> int:
        """How many records are known to be there and were not read yet."""
        places = ((self._places.get(one, _BEGINNING), self._ends.get(one)) for one in self.followed)
        return sum(max(0, end.offset - place.offset) for place, end in places if end is not None)

    def touched(self) -> Iterator[tuple[TopicPartition, Place]]:
        """Each partition of which anything was read since this was asked last."""
        touched, self._touched = self._touched, set()
        for partition in touched:
            yield partition, self._places[partition]

    def put(self, places: Mapping[TopicPartition, Place]) -> None:
        """Put back what was kept."""
        self._places = dict(places)


_BEGINNING = Place(0, 0)
