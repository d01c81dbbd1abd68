"""Whether a saga's table can hold anything at all, for those who find no marker where one should be.

A table that was never prepared and one that was flushed look alike on Redis. On Kafka they do not: every
rebuild, the first of all included, announces a generation on the saga's control topic. Looks only.
"""

from __future__ import annotations

import asyncio

from sagas.ports import TopicPartition
from sagas.restoring import TopicReader
from sagas.wire.topics import Topics

__all__ = ["Beginnings"]


class Beginnings:
    """Remembers which sagas have begun; without a reader all have, as nobody can know better."""

    def __init__(self, topics: Topics, reader: TopicReader | None) -> None:
        self._topics = topics
        self._reader = reader
        self._begun: set[str] = set()
        self._turn = asyncio.Lock()

    async def is_ahead(self, saga: str) -> bool:
        """Whether nobody has ever prepared the saga's table, so that it can have lost nothing.

        Reads the control topic to its end, once if it holds anything. Raises BrokerUnavailable.
        """
        reader = self._reader
        if reader is None:
            return False
        async with self._turn:
            if saga not in self._begun and await self._has_records(reader, saga):
                self._begun.add(saga)
            return saga not in self._begun

    async def _has_records(self, reader: TopicReader, saga: str) -> bool:
        control, found = self._topics.control(saga), False
        there = (await reader.describe_topics()).get(control)
        if there is not None:
            partitions = [TopicPartition(control, number) for number in range(there.partitions)]
            async for _ in reader.read_partitions(partitions):
                found = True
        return found
