"""Which partitions a worker takes new messages of: none of one with too much begun, and none at all while too
much is begun in all.

Owns the pauses. What has begun goes on meanwhile, and its end lets more in; so does nothing else, and a
worker that has begun nothing holds nothing back.
"""

from __future__ import annotations

from collections.abc import Callable

from sagas.ports import Consumer, TopicPartition

__all__ = ["Intake"]


class Intake:
    """The pauses of one worker's consumer; ``consumer`` gives the one that it has now."""

    def __init__(
        self, consumer: Callable[[], Consumer], *, partition_max: int, backlog_max: int
    ) -> None:
        self._consumer = consumer
        self._partition_max = partition_max
        self._backlog_max = backlog_max
        self._owned: frozenset[TopicPartition] = frozenset()
        self._paused: set[TopicPartition] = set()
        self.is_full = False
        self.holds = False
        """Whether anything is paused: only then the end of a message matters here."""

    def begun(self, partition: TopicPartition, count: int) -> None:
        """A partition has so many messages begun."""
        if count < self._partition_max or partition in self._paused:
            return
        self._paused.add(partition)
        self.holds = True
        if not self.is_full:
            self._consumer().pause(frozenset({partition}))

    def taken(self, backlog: int) -> None:
        """What a poll has brought is begun; now there are so many in all."""
        if backlog < self._backlog_max or self.is_full:
            return
        self.is_full = self.holds = True
        self._consumer().pause(self._owned - self._paused)

    def finished(self, partition: TopicPartition, count: int, backlog: int) -> None:
        """A message has ended; so many of its partition, and in all, have not. Half of a bound lets in again,
        so that pausing, which throws away what was fetched, stays seldom.
        """
        if partition in self._paused and count <= self._partition_max // 2:
            self._paused.discard(partition)
            if not self.is_full:
                self._consumer().resume(frozenset({partition}))
        if self.is_full and backlog <= self._backlog_max // 2:
            self.is_full = False
            self._consumer().resume(self._owned - self._paused)
        self.holds = self.is_full or bool(self._paused)

    def assigned(self, partitions: frozenset[TopicPartition], backlog: int) -> None:
        """These are all that there are now, with so many messages begun. A rebalance has forgotten what was
        paused, and let go of messages that nobody will see the end of.
        """
        self._owned = partitions
        self._paused.clear()
        self.is_full = self.is_full and backlog > self._backlog_max // 2
        self.holds = self.is_full
        if self.is_full:
            self._consumer().pause(partitions)
