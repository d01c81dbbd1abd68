"""Ends aiokafka's clients in bounded time, also while Kafka is away.

Their own ``stop`` may wait for ever, and may raise the CancelledError of one of its inner tasks.
When it fails, what is left is ended part by part, by private names: aiokafka has no abort. The
version is pinned, and ``tests/integration/test_kafka_broker_faults.py`` sees what stays open.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

__all__ = ["close_consumer", "close_producer", "disown_commits"]

logger = structlog.get_logger(__name__)

_PART_TIMEOUT_S = 1.0


async def close_producer(producer: AIOKafkaProducer, *, grace_s: float) -> None:
    """Flush and close within the grace; else fail what was not delivered, with a KafkaError."""
    if await _ended(producer.stop(), grace_s):
        return
    await _ended(producer.client.close(), _PART_TIMEOUT_S)
    await _end_tasks([producer._sender.sender_task])
    accumulator = producer._message_accumulator
    unsent = [batch for queue in accumulator._batches.values() for batch in queue]
    # A batch that waits for another attempt is looked for here when it fails.
    accumulator._pending_batches.update(unsent)
    # The flush that ``stop`` began sees the failed batches and ends.
    accumulator.fail_all(KafkaError("the producer was given up"))
    for batch in unsent:
        batch._drain_waiter.exception()  # asyncio reports exceptions that nobody looked at


async def close_consumer(consumer: AIOKafkaConsumer, *, grace_s: float) -> None:
    """Leave the group and close; without a leave in time, the group waits for the session's end."""
    if await _ended(consumer.stop(), grace_s):
        return
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    if coordinator is not None:
        await _end_tasks(
            [
                coordinator._coordination_task,
                coordinator._heartbeat_task,
                coordinator._commit_refresh_task,
            ]
        )
    if fetcher is not None:
        await _end_tasks([fetcher._fetch_task, *fetcher._pending_tasks])
    await _ended(consumer._client.close(), _PART_TIMEOUT_S)


def disown_commits() -> None:
    """Look at the errors of commits that were given up, so that asyncio does not report them.

    A commit that is cancelled leaves its request running in a shielded task that nobody awaits.
    """
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__name__", "") == "_do_commit_offsets":
            task.add_done_callback(_look_at)


def _look_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _ended(ending: Coroutine[Any, Any, None], timeout_s: float) -> bool:
    """Run it to its end, good or bad, within the time; say whether it was good."""
    task = asyncio.get_running_loop().create_task(ending)
    await asyncio.wait({task}, timeout=timeout_s)
    if not task.done():
        await _end_tasks([task])
        return False
    if task.cancelled():
        return False
    if (error := task.exception()) is not None:
        logger.warning("client.closed_badly", reason=repr(error))
    return error is None


async def _end_tasks(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel until they end: the first cancellation may be answered by waiting for a request."""
    left = {task for task in tasks if task is not None}
    for _ in range(5):
        for task in left:
            task.cancel()
        if not left:
            return
        done, left = await asyncio.wait(left, timeout=_PART_TIMEOUT_S)
        for task in done:
            _look_at(task)
