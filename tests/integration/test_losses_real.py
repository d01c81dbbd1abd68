"""Redis is flushed, or killed and started again, while sagas run on real servers: the books balance."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from sagas import Event, Saga, Service, Start, Step, StepContext
from sagas.application import (
    Platform,
    SagaSettings,
    broker_admin,
    client_of,
    ensure_topics,
    real_platform,
    run_services,
    topics_of,
)
from sagas.core.instance import SagaStatus
from sagas.runtime.histories import Histories
from sagas.runtime.rebuild import Means
from sagas.runtime.verification import Difference, Verification
from sagas.runtime.waking import Waker
from tests.integration.test_redis_settings import PrivateRedis

pytestmark = pytest.mark.real

DEADLINE_S = 180
SAGAS = 120


class Placed(Event, type="shop.Placed.v1"):
    id: str


class Cancelled(Event, type="shop.Cancelled.v1"):
    id: str


class Paid(Event, type="till.Paid.v1"):
    id: str


class Refunded(Event, type="till.Refunded.v1"):
    id: str


class Shipped(Event, type="depot.Shipped.v1"):
    id: str


class Unshippable(Event, type="depot.Unshippable.v1"):
    id: str


class Selling(Saga):
    key = "id"
    start = Start(Placed, by="shop", undone=Cancelled)
    pay = Step(by="till", on=Placed, done=Paid, undone=Refunded)
    ship = Step(by="depot", on=Paid, done=Shipped, refused=Unshippable, pivot=True)


class Books:
    """What took effect, once for each key, as a participant's own database would keep it."""

    def __init__(self) -> None:
        self.effects: dict[str, str] = {}
        self.calls: Counter[str] = Counter()

    def enter(self, context: StepContext, outcome: str) -> None:
        self.calls[context.idempotency_key] += 1
        self.effects.setdefault(context.idempotency_key, outcome)

    def count(self, step: str, direction: str, outcome: str) -> int:
        return sum(
            f"/{step}/{direction}/" in key and done == outcome for key, done in self.effects.items()
        )


def services_of(books: Books) -> list[Service]:
    shop, till, depot = Service("shop"), Service("till"), Service("depot")

    @shop.undoes(Selling.start)
    async def cancel(placed: Placed, context: StepContext) -> Cancelled:
        books.enter(context, "cancelled")
        return Cancelled(id=placed.id)

    @till.performs(Selling.pay)
    async def pay(placed: Placed, context: StepContext) -> Paid:
        books.enter(context, "paid")
        return Paid(id=placed.id)

    @till.undoes(Selling.pay)
    async def refund(placed: Placed, paid: Paid | None, context: StepContext) -> Refunded:
        books.enter(context, "refunded")
        return Refunded(id=placed.id)

    @depot.performs(Selling.ship)
    async def ship(paid: Paid, context: StepContext) -> Shipped | Unshippable:
        if paid.id.endswith("3"):
            books.enter(context, "refused")
            return Unshippable(id=paid.id)
        books.enter(context, "shipped")
        return Shipped(id=paid.id)

    return [shop, till, depot]


@pytest.fixture
def server(redis_url: str, tmp_path: Path) -> Iterator[PrivateRedis]:
    assert shutil.which("redis-server"), "redis-server is not on PATH: apt-get install redis-server"
    server = PrivateRedis(tmp_path)
    server.start(appendonly="yes", appendfsync="everysec")
    yield server
    server.stop()


@asynccontextmanager
async def selling(kafka: str, server: PrivateRedis, books: Books) -> AsyncIterator[Platform]:
    settings = SagaSettings(
        kafka=kafka,
        redis=f"redis://{server.address}/0",
        namespace=f"loss-{uuid4().hex[:12]}",
        partitions=3,
    )
    services = services_of(books)
    wanted = topics_of([Selling], services, settings)
    await ensure_topics(wanted, broker_admin(settings, client_id="loss"), create=True)
    stop, running = asyncio.Event(), asyncio.Event()
    async with real_platform(settings, client_id="loss") as platform:
        work = asyncio.create_task(
            run_services(services, platform, stop=stop, on_running=running.set)
        )
        try:
            await asyncio.wait_for(running.wait(), DEADLINE_S)
            yield platform
        finally:
            stop.set()
            await work


async def differences(platform: Platform) -> list[Difference]:
    assert platform.reader is not None
    waker = Waker(topics=platform.topics, broker=platform.broker, clock=platform.clock)
    histories = Histories(Selling, [Selling], topics=platform.topics, reader=platform.reader)
    means = Means(
        saga=Selling,
        histories=histories,
        table=platform.table,
        waker=waker,
        clock=platform.clock,
        ids=platform.ids,
    )
    return [one async for one in Verification(means).differences()]


async def run_through(platform: Platform, books: Books, lose: Any) -> None:
    """Start sagas, lose the table twice on the way, and balance the books at the end."""
    client = client_of(platform, [Selling])
    ids = [f"s-{number}" for number in range(SAGAS)]
    third = SAGAS // 3
    for first in (0, third, 2 * third):
        await asyncio.gather(*(client.start(Placed(id=one)) for one in ids[first:][:third]))
        if first:  # some have ended, the others are on their way
            await client.wait_for_end(Selling, ids[first - third], timeout_s=DEADLINE_S)
            await lose()
    views = await asyncio.gather(
        *(client.wait_for_end(Selling, one, timeout_s=DEADLINE_S) for one in ids)
    )
    refused = [one for one in ids if one.endswith("3")]
    for view in views:
        expected = SagaStatus.COMPENSATED if view.saga_id in refused else SagaStatus.COMPLETED
        assert view.status is expected, view
    assert max(view.generation for view in views) >= 2
    assert books.count("pay", "forward", "paid") == SAGAS
    assert books.count("ship", "forward", "shipped") == SAGAS - len(refused)
    assert books.count("pay", "undo", "refunded") == len(refused)
    assert books.count("start", "undo", "cancelled") == len(refused)
    assert await differences(platform) == []


@pytest.mark.timeout(DEADLINE_S * 2)
async def test_everything_is_flushed_under_load(kafka_servers: str, server: PrivateRedis) -> None:
    books = Books()
    async with selling(kafka_servers, server, books) as platform:

        async def flush() -> None:
            async with Redis(port=server.port) as client:
                await client.flushall()

        await run_through(platform, books, flush)


@pytest.mark.timeout(DEADLINE_S * 2)
async def test_redis_is_killed_and_started_again_under_load(
    kafka_servers: str, server: PrivateRedis
) -> None:
    books = Books()
    async with selling(kafka_servers, server, books) as platform:

        async def kill() -> None:
            server.stop()  # SIGKILL
            server.start(appendonly="yes", appendfsync="everysec")

        await run_through(platform, books, kill)
