"""A consumer group of the memory broker: who is a member, who owns what, what was committed.

Rebalances are eager, as those of aiokafka are: every member gives everything up, is waited for, and
only then are the partitions given out again, by range, from the committed offsets on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from sagas.adapters.memory.topic import Partition, Topic
from sagas.ports import TopicPartition

__all__ = ["Group", "Member"]

logger = structlog.get_logger(__name__)


class Member(Protocol):
    """What a group asks of its members."""

    @property
    def topics(self) -> frozenset[str]:
        """What the member wants to read."""

    async def release(self) -> None:
        """Deliver nothing more, let the listener finish (bounded), then own nothing."""

    def own(self, partitions: Sequence[Partition], committed: Mapping[TopicPartition, int]) -> None:
        """Own these partitions, from the committed offsets on, and tell the listener."""


class Group:
    """Members in the order of joining, and the offsets that they committed."""

    def __init__(self, topic: Callable[[str], Topic]) -> None:
        self.committed: dict[TopicPartition, int] = {}
        self._topic = topic
        self._members: list[Member] = []
        self._stale = False
        self._rebalance: asyncio.Task[None] | None = None

    def join(self, member: Member) -> None:
        """Make it a member; it gets its partitions at the end of the rebalance that this starts.

        Raises SettingsError for a topic that does not exist.
        """
        for name in member.topics:
            self._topic(name)
        self._members.append(member)
        self._request_rebalance()

    def leave(self, member: Member) -> None:
        """Forget the member; the others share what it had."""
        if member in self._members:
            self._members.remove(member)
            self._request_rebalance()

    def _request_rebalance(self) -> None:
        self._stale = True
        if self._rebalance is None:
            self._rebalance = asyncio.get_running_loop().create_task(self._rebalance_until_fresh())

    async def _rebalance_until_fresh(self) -> None:
        """Release everything and give it out; once more for whoever came or went meanwhile."""
        try:
            while self._stale:
                self._stale = False
                await asyncio.gather(*(member.release() for member in tuple(self._members)))
                if not self._stale:
                    self._give_out()
        except Exception:
            logger.exception("rebalance.failed")
            raise
        finally:
            self._rebalance = None

    def _give_out(self) -> None:
        shares: dict[int, list[Partition]] = {id(member): [] for member in self._members}
        for name in sorted({name for member in self._members for name in member.topics}):
            takers = [member for member in self._members if name in member.topics]
            partitions = self._topic(name).partitions
            size, larger = divmod(len(partitions), len(takers))
            start = 0
            for position, taker in enumerate(takers):
                end = start + size + (position < larger)
                shares[id(taker)].extend(partitions[start:end])
                start = end
        for member in tuple(self._members):
            member.own(shares[id(member)], self.committed)
