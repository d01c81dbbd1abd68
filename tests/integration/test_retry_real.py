"""On real servers: a worker is killed while messages wait for another attempt. Nothing is lost, and the
attempts count on.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from sagas import (
    NOTHING,
    Event,
    Retry,
    Saga,
    SagaStatus,
    Service,
    Start,
    Step,
    StepContext,
    seconds,
)
from sagas.application import (
    SagaSettings,
    broker_admin,
    client_of,
    real_platform,
    run_services,
    topics_of,
)
from sagas.ports import NewTopic, SagaTable, TableUnavailable
from sagas.runtime.retry_topics import RetrySettings
from sagas.wire.topics import Topics

DEADLINE_S = 90
ORDERS = [f"order-{number}" for number in range(40)]
ROOT = Path(__file__).parents[2]
RETRIES = RetrySettings(tiers_ms=(200, 2_000), in_process_max_ms=50)


class Placed(Event, type="desk.Placed.v1"):
    id: str


class Packed(Event, type="packing.Packed.v1"):
    id: str


class Packing(Saga):
    key = "id"
    start = Start(Placed, by="desk", undone=NOTHING)
    pack = Step(
        by="packing",
        on=Placed,
        done=Packed,
        pivot=True,
        retry=Retry(attempts=4, backoff=seconds(0.2), factor=10, jitter=0),
    )


packing = Service("packing")


@packing.performs(Packing.pack)
async def pack(placed: Placed, context: StepContext) -> Packed:
    sys.stdout.write(f"{placed.id} {context.attempt}\n")
    sys.stdout.flush()
    if context.attempt < 4:
        raise ConnectionError("no tape")
    return Packed(id=placed.id)


async def work() -> None:
    """What the process of a worker does, until it is killed or told to stop."""
    settings, stop = SagaSettings(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(15, stop.set)
    async with real_platform(settings, client_id="packing") as platform:
        await run_services([packing], replace(platform, retries=RETRIES), stop=stop)


class Worker:
    """The process of a worker, and what its handler was called for: the order and the attempt."""

    def __init__(self, settings: SagaSettings) -> None:
        self.calls: list[tuple[str, int]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import asyncio, {__name__} as t; asyncio.run(t.work())"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "SAGAS_KAFKA": settings.kafka,
                "SAGAS_REDIS": settings.redis,
                "SAGAS_NAMESPACE": settings.namespace,
            },
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            order, _, attempt = line.strip().partition(" ")
            if order in ORDERS:
                self.calls.append((order, int(attempt)))

    def end(self, *, kill: bool) -> int:
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        status = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


@contextmanager
def worker(settings: SagaSettings) -> Iterator[Worker]:
    started = Worker(settings)
    try:
        yield started
    finally:
        started.end(kill=True)


async def test_a_worker_that_is_killed_while_messages_wait_loses_nothing(
    kafka_servers: str, redis_url: str
) -> None:
    settings = SagaSettings(
        namespace=f"retry-{uuid4().hex[:12]}", kafka=kafka_servers, redis=redis_url, partitions=2
    )
    topics = Topics(settings.namespace)
    tiers = [
        NewTopic(name=topics.retry("packing", delay_ms), partitions=2)
        for delay_ms in RETRIES.tiers_ms
    ]
    admin = broker_admin(settings, client_id="tests")
    await admin.create_topics([*topics_of([Packing], [packing], settings), *tiers])
    async with real_platform(settings, client_id="tests") as platform:
        client = client_of(platform, [Packing])
        with worker(settings) as first:
            await asyncio.gather(*(client.start(Placed(id=order)) for order in ORDERS))
            async with asyncio.timeout(DEADLINE_S):
                await _all_wait(platform.table, ORDERS)
            first.end(kill=True)
        with worker(settings) as second:
            for order in ORDERS:
                view = await client.wait_for_end(Packing, order, timeout_s=DEADLINE_S)
                assert view.status is SagaStatus.COMPLETED
                assert view.retrying == ()
            assert second.end(kill=False) == 0
    numbers = defaultdict(list)
    for order, attempt in (*first.calls, *second.calls):
        numbers[order].append(attempt)
    for order in ORDERS:
        seen = numbers[order]
        assert seen == sorted(seen), (order, seen)
        assert set(seen) == {1, 2, 3, 4}, (order, seen)
    assert 1 not in {attempt for _, attempt in second.calls}
    waited = [[_ async for _ in admin.read_to_end(topic.name)] for topic in tiers]
    assert min(map(len, waited)) >= len(ORDERS)


async def _all_wait(table: SagaTable, orders: list[str]) -> None:
    """Until every order has failed once, its message stands in a topic, and a note says so."""
    missing = set(orders)
    while missing:
        for order in list(missing):
            try:
                row = await table.load("packing", order)
            except TableUnavailable:  # nobody has prepared it yet
                row = None
            if row is not None and row.notes:
                missing.discard(order)
        await asyncio.sleep(0.02)


async def test_a_worker_that_is_told_to_stop_does_not_wait_for_messages_that_wait(
    kafka_servers: str, redis_url: str
) -> None:
    settings = SagaSettings(
        namespace=f"retry-{uuid4().hex[:12]}", kafka=kafka_servers, redis=redis_url, partitions=1
    )
    far = RetrySettings(tiers_ms=(3_600_000,), in_process_max_ms=50)
    admin = broker_admin(settings, client_id="tests")
    await admin.create_topics(topics_of([Packing], [packing], settings))
    async with real_platform(settings, client_id="tests") as platform:
        stop, order = asyncio.Event(), ORDERS[0]
        running = asyncio.create_task(
            run_services([packing], replace(platform, retries=far), stop=stop)
        )
        await client_of(platform, [Packing]).start(Placed(id=order))
        async with asyncio.timeout(DEADLINE_S):
            await _all_wait(platform.table, [order])
        stop.set()
        async with asyncio.timeout(platform.settings.drain_timeout_s):
            await running
