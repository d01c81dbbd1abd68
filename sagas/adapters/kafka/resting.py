"""Leaves partitions on which little comes out of most fetches, without losing or starving any.

Every fetch names its partitions one by one, and aiokafka packs the request and unpacks the answer in
Python: some 20 µs for each partition, also for one that is empty. Owns the choice of who rests; pausing and
resuming is the consumer's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from sagas.ports import TopicPartition

__all__ = ["Resting"]


class Resting:
    """The partitions of ``topics`` that are left out for the moment; ``look_s`` is how long at most.

    A partition may rest once it was fetched since it last woke, and all that it had is delivered: aiokafka
    drops what it has fetched of a partition that is paused, so that a record could wait for ever otherwise.
    """

    def __init__(self, topics: frozenset[str], *, look_s: float) -> None:
        self.partitions: frozenset[TopicPartition] = frozenset()
        self._topics = topics
        self._look_s = look_s
        self._until = 0.0
        self._looked: dict[TopicPartition, int | None] = {}

    def forget(self) -> None:
        """Ownership changes: nobody rests."""
        self.partitions = frozenset()
        self._looked.clear()

    def is_over(self, *, busy: bool, now: float) -> bool:
        """Whether those that rest are to be looked at: in time, or as nothing else comes."""
        return bool(self.partitions) and (not busy or now >= self._until)

    def end(self, consumer: AIOKafkaConsumer) -> frozenset[TopicPartition]:
        """Wake them; returns who rested."""
        woken, self.partitions = self.partitions, frozenset()
        for partition in woken:
            if (state := _state(consumer, partition)) is not None:
                self._looked[partition] = state.timestamp
        return woken

    def begin(
        self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], *, now: float
    ) -> frozenset[TopicPartition]:
        """Let those of these partitions rest that may; returns them."""
        if not self._topics:
            return frozenset()
        self._until = now + self._look_s
        self.partitions = frozenset(
            one for one in partitions if one.topic in self._topics and self._may(consumer, one)
        )
        return self.partitions

    def _may(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> bool:
        state = _state(consumer, partition)
        if state is None or state.timestamp == self._looked.get(partition):
            return False  # not fetched since it woke
        return bool(state.has_valid_position and state.highwater <= state.position)


def _state(consumer: AIOKafkaConsumer, partition: TopicPartition) -> Any:
    """What aiokafka knows of a partition. Its own ``position`` may wait, which a poll must not do here."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 - see above
    assignment = None if subscription is None else subscription.assignment
    wanted = KafkaPartition(*partition)
    if assignment is None or wanted not in assignment.tps:
        return None
    return assignment.state_value(wanted)
