"""On real servers: a key is used again, starts compete, and an event of another service cancels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sagas import SagaExists
from sagas.application import (
    Platform,
    SagaClient,
    SagaSettings,
    broker_admin,
    client_of,
    ensure_topics,
    real_platform,
    run_services,
    topics_of,
)
from sagas.core.instance import SagaStatus
from sagas.ports import BrokerAdmin, OutgoingRecord
from tests.cli_project import Project, write_project

DEADLINE_S = 60

PYPROJECT = """\
[tool.sagas]
services = []
sagas = ["shop.sale:Sale"]
"""

SALE = """\
from sagas import Event, Reuse, Saga, Service, Start, Step, StepContext, Wait, hours


class Placed(Event, type="front.Placed.v1"):
    id: str
    note: str = ""


class Unplaced(Event, type="front.Unplaced.v1"):
    id: str


class Confirmed(Event, type="front.Confirmed.v1"):
    id: str


class Paid(Event, type="till.Paid.v1"):
    id: str


class Regretted(Event, type="customers.Regretted.v1"):
    id: str


class Sale(Saga):
    key = "id"
    reuse = Reuse.AFTER_FAILURE
    cancelled_by = Regretted
    start = Start(Placed, by="front", undone=Unplaced)
    confirm = Wait(by="front", on=Placed, done=Confirmed, timeout=hours(1))
    pay = Step(by="till", on=Confirmed, done=Paid, pivot=True)


front, till = Service("front"), Service("till")
front.completes(Sale.confirm)


@front.undoes(Sale.start)
async def unplace(placed: Placed, context: StepContext) -> Unplaced:
    return Unplaced(id=placed.id)


@till.performs(Sale.pay)
async def pay(confirmed: Confirmed, context: StepContext) -> Paid:
    return Paid(id=confirmed.id)
"""


class Shop:
    """The saga, its services in this process, and the command line on the same servers."""

    def __init__(self, platform: Platform, client: SagaClient, names: dict[str, Any]) -> None:
        self.platform = platform
        self.client = client
        self.sale = names["Sale"]
        self.names = names

    def placed(self, note: str) -> Any:
        return self.names["Placed"](id="o1", note=note)

    async def outside(self, name: str, **fields: str) -> None:
        """A record as a producer makes it that knows nothing of sagas."""
        event = self.names[name](id="o1", **fields)
        record = OutgoingRecord(
            self.platform.topics.events(event.publisher()),
            None,
            event.model_dump_json(indent=1).encode(),
            (("ce_type", event.event_type.encode()),),
        )
        await self.platform.broker.publish(record)

    async def ends(self, saga_id: str) -> SagaStatus:
        return (await self.client.wait_for_end(self.sale, saga_id)).status

    async def seen(self, saga_id: str) -> None:
        async def is_there() -> bool:
            return await self.client.get(self.sale, saga_id) is not None

        await self.until(is_there)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        while not await holds():  # noqa: ASYNC110 - what is waited for is on a server
            await asyncio.sleep(0.05)

    async def dead(self, admin: BrokerAdmin) -> list[str]:
        topic = self.platform.topics.dead_letters("front")
        return [
            dict(record.headers)["dlq-exception"].decode()
            async for record in admin.read_to_end(topic)
        ]


async def _refused(shop: Shop, admin: BrokerAdmin, count: int) -> bool:
    return len(await shop.dead(admin)) >= count


@asynccontextmanager
async def opened(settings: SagaSettings) -> AsyncIterator[Shop]:
    names: dict[str, Any] = {"__name__": "shop.sale"}
    exec(compile(SALE, "sale", "exec", dont_inherit=True), names)
    services, saga = [names["front"], names["till"]], names["Sale"]
    stop, running = asyncio.Event(), asyncio.Event()
    async with (
        asyncio.timeout(DEADLINE_S),
        real_platform(settings, client_id="test") as platform,
    ):
        admin = broker_admin(settings, client_id="test")
        await ensure_topics(topics_of([saga], services, settings), admin, create=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(run_services(services, platform, stop=stop, on_running=running.set))
            await running.wait()
            try:
                yield Shop(platform, client_of(platform, [saga]), names)
            finally:
                stop.set()


@pytest.fixture
def settings(kafka_servers: str, redis_url: str) -> SagaSettings:
    namespace = f"starts-{uuid4().hex[:12]}"
    return SagaSettings(kafka=kafka_servers, redis=redis_url, namespace=namespace, partitions=2)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_project(tmp_path, pyproject=PYPROJECT, modules={"__init__": "", "sale": SALE})


async def test_a_key_is_used_again_once_it_was_cancelled(settings: SagaSettings) -> None:
    async with opened(settings) as shop:
        await asyncio.gather(*(shop.outside("Placed", note="a") for _ in range(3)))
        await shop.seen("o1")
        with pytest.raises(SagaExists, match="RUNNING"):
            await shop.client.start(shop.placed("b"))
        await shop.outside("Regretted")
        assert await shop.ends("o1") is SagaStatus.COMPENSATED
        assert await shop.client.start(shop.placed("a")) == "o1"
        assert await shop.client.start(shop.placed("b")) == "o1~2"
        confirmed = shop.names["Confirmed"](id="o1")
        await shop.client.complete(shop.sale.confirm, "o1~2", confirmed)
        assert await shop.ends("o1~2") is SagaStatus.COMPLETED


async def test_of_starts_at_once_one_counts_and_the_others_are_dead_letters(
    settings: SagaSettings,
) -> None:
    async with opened(settings) as shop:
        notes = "abcdef"
        await asyncio.gather(*(shop.outside("Placed", note=note) for note in notes))
        admin = broker_admin(settings, client_id="test")
        await shop.until(lambda: _refused(shop, admin, len(notes) - 1))
        outlook = await shop.client.cancel(shop.sale, "o1", by="ada", why="a test")
        assert outlook is not None
        assert outlook.possible
        assert await shop.ends("o1") is SagaStatus.COMPENSATED
        assert await shop.dead(admin) == ["StartRefused"] * (len(notes) - 1)
        assert await shop.client.get(shop.sale, "o1~2") is None


async def test_the_command_line_starts_and_says_why_it_does_not(
    settings: SagaSettings, project: Project
) -> None:
    servers = {
        "SAGAS_KAFKA": settings.kafka,
        "SAGAS_REDIS": settings.redis,
        "SAGAS_NAMESPACE": settings.namespace,
    }

    async def sagas(*arguments: str) -> Any:
        return await asyncio.to_thread(project.process, *arguments, **servers)

    async with opened(settings) as shop:
        started = await sagas("start", "sale", "--payload", '{"id": "o1"}', "--output", "json")
        assert started.code == 0, started
        assert json.loads(started.out) == {
            "id": "o1",
            "saga": "sale",
            "event": "front.Placed.v1",
        }
        await shop.seen("o1")
        again = await sagas("start", "shop.sale:Sale", "--payload", '{"id": "o1"}')
        assert (again.code, "o1" in again.out) == (0, True)
        other = await sagas("start", "sale", "--payload", '{"id": "o1", "note": "b"}')
        assert other.code == 6
        assert "'o1' was started with another content, and is RUNNING" in other.only_line
        await shop.client.cancel(shop.sale, "o1", by="ada", why="a test")
        await shop.ends("o1")
