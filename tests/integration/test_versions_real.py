"""On real Kafka and Redis: producers of two versions of an event in one saga, its table lost and rebuilt, and
sagas that are migrated to another definition.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis as redis_client

from sagas import Event, SagaStatus, Service
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
from tests.cli_project import MODULES, Project, write_project
from tests.integration.test_cli_real import Running
from tests.parcels import (
    ParcelPacked,
    ParcelPackedV1,
    ParcelWeighed,
    ParcelWeighedV1,
    parcel_saga,
    parcel_services,
)

pytestmark = pytest.mark.real

DEADLINE_S = 60
FIRST = parcel_saga(ParcelPackedV1, ParcelWeighedV1)
LAST = parcel_saga(ParcelPacked, ParcelWeighed)
POUNDS = ParcelWeighedV1(parcel_id="", pounds=2)


@asynccontextmanager
async def running(services: Sequence[Service], settings: SagaSettings) -> AsyncIterator[Platform]:
    stop, begun = asyncio.Event(), asyncio.Event()
    async with (
        asyncio.timeout(DEADLINE_S),
        real_platform(settings, client_id="test") as platform,
    ):
        admin = broker_admin(settings, client_id="test")
        await ensure_topics(topics_of([LAST], services, settings), admin, create=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(run_services(services, platform, stop=stop, on_running=begun.set))
            await begun.wait()
            try:
                yield platform
            finally:
                stop.set()


@pytest.fixture
def settings(kafka_servers: str, redis_url: str) -> SagaSettings:
    namespace = f"versions-{uuid4().hex[:12]}"
    return SagaSettings(kafka=kafka_servers, redis=redis_url, namespace=namespace, partitions=2)


async def ended(client: SagaClient, *ids: str) -> list[SagaStatus]:
    views = await asyncio.gather(*(client.wait_for_end(LAST, one) for one in ids))
    return [view.status for view in views]


async def test_producers_of_both_versions_work_side_by_side(settings: SagaSettings) -> None:
    """Two depots share the work: one is of the last generation, and tells the last version."""
    told: list[tuple[str, object]] = []
    units: Event = ParcelWeighed(parcel_id="", weight=907, unit="g")
    new = parcel_services(LAST, weighs=units, told=told)
    before = parcel_services(LAST, weighs=ParcelWeighed.as_before(POUNDS))
    ids = [f"p-{number}" for number in range(12)]
    others, both = list(new.values()), [before["depot"]]
    async with running(others, settings) as platform, running(both, settings):
        client = client_of(platform, [LAST])
        for number, saga_id in enumerate(ids):
            packed: Event = ParcelPacked(parcel_id=saga_id, fragile=False)
            if number % 2:
                packed = ParcelPacked.as_before(ParcelPackedV1(parcel_id=saga_id))
            await client.start(packed)
        assert await ended(client, *ids) == [SagaStatus.COMPLETED] * len(ids)
        views = [await client.get(LAST, saga_id) for saga_id in ids]
        written = {view.timeline[1].written for view in views if view is not None}
        assert written == {"", "depot.ParcelWeighed.v1"}, "both have had something to do"
        admin = broker_admin(settings, client_id="test")
        for name in new:
            topic = platform.topics.dead_letters(name)
            assert [record async for record in admin.read_to_end(topic)] == []
    labelled = [given for asked, given in told if asked == "label"]
    assert {type(one) for one in labelled} == {ParcelWeighed}
    assert {(one.weight, one.unit) for one in labelled if isinstance(one, ParcelWeighed)} == {
        (907, "g")
    }


async def test_what_old_workers_began_goes_on_though_the_table_is_lost(
    settings: SagaSettings,
) -> None:
    old = parcel_services(FIRST, weighs=POUNDS)
    async with running([old[name] for name in ("shop", "depot")], settings) as platform:
        client = client_of(platform, [FIRST])
        await client.start(ParcelPackedV1(parcel_id="p-1"))

        async def is_weighed() -> bool:
            view = await client.get(FIRST, "p-1")
            return view is not None and len(view.timeline) > 1

        while not await is_weighed():  # noqa: ASYNC110 - what is waited for is on a server
            await asyncio.sleep(0.05)
    with redis_client.Redis.from_url(settings.redis) as server:
        keys = list(server.scan_iter(match=f"*{settings.namespace}*", count=1000))
        assert server.delete(*keys)
    told: list[tuple[str, object]] = []
    units = ParcelWeighed(parcel_id="", weight=1, unit="g")
    new = parcel_services(LAST, weighs=units, told=told)
    async with running(list(new.values()), settings) as platform:
        client = client_of(platform, [LAST])
        assert await ended(client, "p-1") == [SagaStatus.COMPLETED]
    current = ParcelWeighed(parcel_id="p-1", weight=907, unit="g")
    assert [given for asked, given in told if asked == "label"] == [current]


THANKED = """

class Thanked(OrderEvent, type="orders.Thanked.v1"):
    pass


class Ordering"""
CHANGED = MODULES["ordering"].replace("\n\nclass Ordering", THANKED, 1) + (
    '    thank = Step(by="orders", on=StockReserved, done=Thanked, undone=NOTHING)\n'
)


class Shop:
    """A project on the servers, whose definition changes."""

    def __init__(self, project: Project, servers: dict[str, str]) -> None:
        self.project, self.servers = project, servers

    def sagas(self, *arguments: str, code: int = 0) -> str:
        ended = self.project.process(*arguments, **self.servers, COLUMNS="110")
        assert ended.code == code, ended
        return ended.out + ended.err

    def json(self, *arguments: str, code: int = 0) -> Any:
        out = self.sagas(*arguments, "-o", "json", code=code)
        return json.loads(out)

    def run(self, *services: str, until: dict[str, str]) -> None:
        running = Running(self.project.start("run", *services, **self.servers))
        try:
            running.wait_for("worker.running", len(services))
            running.wait_for_line(lambda line: until.items() <= line.items())
        finally:
            running.close()


@pytest.fixture
def shop(kafka_servers: str, redis_url: str, tmp_path: Path) -> Shop:
    servers = {
        "SAGAS_KAFKA": kafka_servers,
        "SAGAS_REDIS": redis_url,
        "SAGAS_NAMESPACE": f"migrate-{uuid4().hex[:12]}",
        "SAGAS_PARTITIONS": "2",
        "SAGAS_LOG_FORMAT": "json",
    }
    shop = Shop(write_project(tmp_path), servers)
    shop.sagas("topics", "apply")
    return shop


def test_sagas_are_migrated_and_the_new_worker_starts(shop: Shop) -> None:
    shop.sagas("start", "ordering", "--payload", '{"order_id": "o1"}')
    shop.run("orders", "inventory", until={"type": "inventory.StockReserved.v1"})
    text = CHANGED
    if "NOTHING" not in text.partition("class ")[0]:
        text = text.replace("from sagas import ", "from sagas import NOTHING, ", 1)
    shop.project.write("shop/ordering.py", text)
    handler = (shop.project.directory / "shop" / "orders.py").read_text() + (
        "\n\nfrom shop.ordering import Thanked, StockReserved\n\n\n"
        "@service.performs(Ordering.thank)\n"
        "async def thank(reserved: StockReserved, context: StepContext) -> Thanked:\n"
        "    return Thanked(order_id=reserved.order_id)\n"
    )
    shop.project.write("shop/orders.py", handler)

    refused = shop.sagas("run", "payments", code=1)
    assert "sagas migrate" in refused
    (dry,) = shop.json("migrate", "--dry-run")["migrated"]
    assert [one["outcome"] for one in dry["instances"]] == ["would move"]
    (done,) = shop.json("migrate")["migrated"]
    (moved,) = done["instances"]
    assert (moved["saga_id"], moved["outcome"], moved["reason"]) == ("o1", "moved", "")
    assert done["forgotten"] == [moved["definition"]]
    (again,) = shop.json("migrate")["migrated"]
    assert (again["instances"], again["current"]) == ([], 1)
    assert "nothing to move, 1 under" in shop.sagas("migrate")
    counted = shop.json("definitions", "--count")["definitions"]
    assert {one["fingerprint"]: one["live"] for one in counted} == {done["definition"]: 1}
    assert shop.json("verify")["differences"] == []

    shop.run("orders", "inventory", "payments", until={"saga_id": "o1", "status": "COMPLETED"})
    told = shop.json("show", "o1")
    assert "orders.Thanked.v1" in json.dumps(told)
