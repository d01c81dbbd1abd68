"""Faust's way to Kafka, going on where the follower is, and not where its group has committed.

Owns the positions at which partitions are read. The group's offsets are committed as Faust does it, for
tools that show lag; nothing depends on them, so a state that was deleted is rebuilt from the beginning.
"""

from __future__ import annotations

import time
from typing import Protocol, cast

import structlog
from faust.transport.drivers import aiokafka as driver

from sagas.adapters.faust.following import Follower
from sagas.ports import TopicPartition

__all__ = ["TailConsumer", "TailTransport", "now_ms"]


_log = structlog.get_logger()


def now_ms() -> int:
    """The clock's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class _Following(Protocol):
    follower: Follower


class TailConsumer(driver.Consumer):
    """Faust's consumer; it asks the follower where to go on."""

    async def perform_seek(self) -> None:
        """Go on at the follower's positions, whenever Faust would go on at the committed ones."""
        follower = cast(_Following, self.app).follower
        assigned = {tp: TopicPartition(tp.topic, tp.partition) for tp in self.assignment()}
        follower.follow(assigned.values(), now_ms())
        first = await self.earliest_offsets(*assigned) if assigned else {}
        offsets = {
            tp: max(first.get(tp, 0), follower.position(partition) or 0)
            for tp, partition in assigned.items()
        }
        for tp in assigned:
            self._read_offset[tp] = None
        if offsets:
            await self.seek_wait(offsets)
            await self.measure()
        _log.info("monitor.following", partitions=len(offsets))

    async def measure(self) -> None:
        """Tell the follower how far its partitions reach."""
        asked_ms = now_ms()
        ends = await self.highwaters(*self.assignment())
        told = {TopicPartition(tp.topic, tp.partition): offset for tp, offset in ends.items()}
        cast(_Following, self.app).follower.measure(told, asked_ms)


class TailTransport(driver.Transport):
    """Faust's transport with that consumer."""

    Consumer = TailConsumer
