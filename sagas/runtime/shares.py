"""What a worker has of a partition that its group has given to it. Decides nothing."""

from __future__ import annotations

import asyncio

from sagas.ports import TopicPartition
from sagas.runtime.offsets import OffsetTracker

__all__ = ["Share"]


class Share:
    """One partition: which offset may be committed, and the messages begun and not finished, oldest first."""

    __slots__ = ("partition", "tasks", "tracker")

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        self.tracker = OffsetTracker()
        self.tasks: dict[asyncio.Task[None], None] = {}
