"""Passes aiokafka's rebalances on to a RebalanceListener, guarded and bounded.

aiokafka logs and swallows what a listener raises, sends no heartbeats while partitions are
assigned, and does not call the listener when the consumer stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog
from aiokafka import ConsumerRebalanceListener

from sagas.ports import RebalanceListener, TopicPartition

__all__ = ["Rebalance"]

logger = structlog.get_logger(__name__)


class Rebalance(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Knows what is owned. ``generation`` changes whenever that begins to change, or has."""

    def __init__(
        self,
        listener: RebalanceListener,
        *,
        drain_timeout_ms: int,
        on_change: Callable[[], None],
    ) -> None:
        self.owned: frozenset[TopicPartition] = frozenset()
        self.generation = 0
        self._listener = listener
        self._drain_timeout_ms = drain_timeout_ms
        self._on_change = on_change

    def on_partitions_assigned(self, assigned: Iterable[tuple[str, int]]) -> None:
        """Tell the listener, synchronously.

        aiokafka learns the positions of new partitions after this call, in a task of its own: as
        long as nothing here waits, no record can come before the listener knows, and no pausing is
        needed.
        """
        self.generation += 1
        self.owned = frozenset(TopicPartition(*partition) for partition in assigned)
        self._on_change()
        if not self.owned:
            return
        try:
            self._listener.assigned(self.owned)
        except Exception:
            logger.exception("rebalance.listener_failed", call="assigned")

    async def on_partitions_revoked(self, revoked: Iterable[tuple[str, int]]) -> None:
        """Let the listener finish, while heartbeats go on and commits are still accepted."""
        self.generation += 1
        partitions = frozenset(TopicPartition(*partition) for partition in revoked)
        try:
            if partitions:
                await self._drain(partitions)
        finally:
            self.owned = frozenset()
            self._on_change()

    async def _drain(self, partitions: frozenset[TopicPartition]) -> None:
        bound = asyncio.timeout(self._drain_timeout_ms / 1000)
        try:
            async with bound:
                await self._listener.revoked(partitions)
        except Exception:
            if bound.expired():
                logger.error(  # noqa: TRY400 - where it was cancelled says nothing
                    "rebalance.listener_timed_out", timeout_ms=self._drain_timeout_ms
                )
            else:
                logger.exception("rebalance.listener_failed", call="revoked")
