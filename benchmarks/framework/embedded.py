"""Embedded mode: the five services, broker and table in the memory of one process.

``python -m benchmarks.framework.embedded SECONDS UNDER_WAY`` prints the sagas per second.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from itertools import count

import structlog
import uvloop

from benchmarks.framework.declaration import (
    CustomerNotified,
    OrderCancelled,
    OrderPlaced,
    OrderToNotification,
)
from benchmarks.framework.handlers import SERVICES
from benchmarks.orders import order
from sagas import Event, EventContext, Service
from sagas.application import client_of, embedded_platform, run_services

__all__ = ["sagas_per_s"]


async def sagas_per_s(seconds: float, under_way: int) -> float:
    """Keep so many orders under way for that time. Ends are seen by an observing sixth service."""
    ended = asyncio.Queue[str]()
    watch = Service("watch")

    async def see(_event: Event, context: EventContext) -> None:
        ended.put_nowait(context.saga_id)

    watch.observes(CustomerNotified, OrderCancelled)(see)
    numbers, stop, joined = count(), asyncio.Event(), asyncio.Event()
    async with embedded_platform() as platform:
        serving = asyncio.create_task(
            run_services([*SERVICES, watch], platform, stop=stop, on_running=joined.set)
        )
        await joined.wait()
        client = client_of(platform, [OrderToNotification])

        async def start() -> None:
            placed = order(next(numbers), payload_bytes=300, declined=0.1)
            await client.start(OrderPlaced(**placed._asdict()))

        for _ in range(under_way):
            await start()
        started, seen = time.perf_counter(), 0
        while time.perf_counter() < started + seconds:
            await ended.get()
            seen += 1
            await start()
        took = time.perf_counter() - started
        stop.set()
        await serving
    return seen / took


if __name__ == "__main__":
    logging.disable(logging.INFO)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.stdout.write(f"{uvloop.run(sagas_per_s(float(sys.argv[1]), int(sys.argv[2])))}\n")
