"""Whatever an outside producer sends is kept, said why, and holds nobody up: memory and real."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from sagas.application import (
    SagaSettings,
    broker_admin,
    client_of,
    embedded_platform,
    ensure_topics,
    real_platform,
    run_services,
    topics_of,
)
from sagas.core.instance import SagaStatus
from sagas.ports import OutgoingRecord, Record, TopicPartition
from sagas.runtime.assembly import Platform
from sagas.wire.headers import Headers
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEADLINE_S = 60
SERVICES = ("orders", "inventory", "payments", "shipping", "notifications")
KINDS = ["memory", pytest.param("real", marks=pytest.mark.real)]


class Deaf:
    """A listener that does not care."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        pass

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        pass


@dataclass
class System:
    """A platform, and the records of all its dead-letter topics."""

    platform: Platform
    dead: list[Record] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read_dead_letters(self, joined: asyncio.Event) -> None:
        topics = frozenset(self.platform.topics.dead_letters(name) for name in SERVICES)
        reader = self.platform.broker.consumer(topics, group="auditor", listener=Deaf())
        await reader.start()
        joined.set()
        try:
            while True:
                records = await reader.poll(records_max=100, timeout_ms=200)
                async with self.arrived:
                    self.dead.extend(records)
                    self.arrived.notify_all()
        finally:
            await reader.stop()

    async def dead_letter(self, service: str, key: bytes) -> Record:
        """The dead letter of a service with this key, once it is there."""
        topic = self.platform.topics.dead_letters(service)

        def found() -> Record | None:
            return next((r for r in self.dead if r.topic == topic and r.key == key), None)

        async with asyncio.timeout(DEADLINE_S), self.arrived:
            await self.arrived.wait_for(lambda: found() is not None)
        record = found()
        assert record is not None
        return record

    async def publish(
        self, service: str, key: bytes, value: bytes | None, headers: Headers = ()
    ) -> None:
        topic = self.platform.topics.events(service)
        await self.platform.broker.publish(OutgoingRecord(topic, key, value, headers))


@asynccontextmanager
async def platform_of(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    namespace = f"bad-{uuid.uuid4().hex[:12]}"
    if kind == "memory":
        async with embedded_platform(namespace) as platform:
            yield platform
        return
    settings = SagaSettings(
        namespace=namespace,
        kafka=request.getfixturevalue("kafka_servers"),
        redis=request.getfixturevalue("redis_url"),
        partitions=2,
    )
    wanted = topics_of([OrderFulfilment], Shop().services, settings)
    await ensure_topics(wanted, broker_admin(settings, client_id="tests"), create=True)
    async with real_platform(settings, client_id="tests") as platform:
        yield platform


@asynccontextmanager
async def running(platform: Platform) -> AsyncIterator[System]:
    """The shop at work; when this ends, all has been drained and committed."""
    system = System(platform)
    stop, joined, auditing = asyncio.Event(), asyncio.Event(), asyncio.Event()
    shop = asyncio.create_task(
        run_services(Shop().services, platform, stop=stop, on_running=joined.set)
    )
    auditor = asyncio.create_task(system.read_dead_letters(auditing))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await joined.wait()
            await auditing.wait()
        yield system
    finally:
        stop.set()
        auditor.cancel()
        await asyncio.gather(auditor, return_exceptions=True)
        await shop


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with platform_of(request.param, request) as platform, running(platform) as system:
        yield system


@dataclass(frozen=True)
class Bad:
    """A record that nobody can handle, who meets it, and what is said of it."""

    value: bytes | None
    headers: Headers
    reason: str
    exception: str = "InvalidMessage"
    topic: str = "orders"
    service: str = "inventory"


def of_saga(type_: str, saga_id: str | None = "x", **more: bytes) -> Headers:
    headers = {"ce_type": type_.encode(), "ce_saganame": b"order-fulfilment", **more}
    if saga_id is not None:
        headers["ce_sagaid"] = saga_id.encode()
    return tuple(headers.items())


PLACED = "orders.OrderPlaced.v1"
RESERVED = "inventory.StockReserved.v1"
BAD = {
    "broken-json": Bad(b'{"order_id": ', of_saga(PLACED), "does not fit its contract"),
    "not-json": Bad(b"\xff\xfe\x00", of_saga(PLACED), "does not fit its contract"),
    "wrong-payload": Bad(b'{"order_id": "x", "items": 3}', of_saga(PLACED), "items:"),
    "no-object": Bad(b"[]", (), "does not fit its contract"),
    "no-key-field": Bad(b'{"items": []}', (), "order_id: Field required"),
    "empty-key": Bad(b'{"order_id": ""}', (), "1 to 200 printable characters"),
    "unknown-type": Bad(b"{}", of_saga("orders.OrderLost.v1"), "knows no event 'orders.OrderLost"),
    "no-saga-id": Bad(
        b'{"order_id": "x"}',
        of_saga(RESERVED, None),
        "set the header ce_sagaid",
        topic="inventory",
        service="payments",
    ),
    "unknown-saga-id": Bad(
        b'{"order_id": "never-started"}',
        of_saga(RESERVED, "never-started"),
        "of which nothing is known",
        exception="UnknownInstance",
        topic="inventory",
        service="payments",
    ),
    "oversized": Bad(
        b'{"order_id": "%s"}' % (b"x" * 900_000), of_saga(PLACED), "at most 900000 are accepted"
    ),
    "header-not-text": Bad(b"{}", (("ce_type", b"\xff\xfe"),), "ce_type is not UTF-8 text"),
    "saga-id-not-text": Bad(
        b'{"order_id": "x"}', of_saga(PLACED, None, ce_sagaid=b"\xff"), "ce_sagaid is not UTF-8"
    ),
    "header-too-long": Bad(b'{"order_id": "x"}', of_saga(PLACED, "x" * 5000), "at most 4096 fit"),
    "header-no-number": Bad(
        b'{"order_id": "x"}', of_saga(PLACED, ce_sagaseq=b"-1"), "expected a whole number"
    ),
    "header-no-time": Bad(
        b'{"order_id": "x"}', of_saga(PLACED, ce_time=b"yesterday"), "expected a time such as"
    ),
    "time-out-of-range": Bad(
        b'{"order_id": "x"}',
        of_saga(PLACED, "x", ce_deadline=b"0001-01-01T00:00:00+23:59"),
        "expected a time",
    ),
    "another-saga-id": Bad(b'{"order_id": "x"}', of_saga(PLACED, "y"), "they name the same saga"),
    "unprintable-key": Bad(b'{"order_id": "a\\nb"}', (), "1 to 200 printable characters"),
    "too-many-headers": Bad(
        b'{"order_id": "x"}',
        (*of_saga(PLACED), *((f"h{n}", b"") for n in range(10_000))),
        "at most 200 fit",
    ),
    "headers-too-large": Bad(
        b'{"order_id": "x"}', of_saga(PLACED, other=b"v" * 100_000), "at most 65536 fit"
    ),
    "id-too-long": Bad(
        b'{"order_id": "x"}', of_saga(PLACED, "x", ce_id=b"e" * 600), "at most 500 printable"
    ),
    "id-forges-a-line": Bad(
        b'{"order_id": "x"}', of_saga(PLACED, "x", ce_id=b"a\n\x1b[2J"), "'a\\n\\x1b[2J'"
    ),
    "many-digits": Bad(
        b'{"order_id": "x", "items": [' + b"9" * 10_000 + b"]}", of_saga(PLACED), "does not fit"
    ),
    "wrong-elements": Bad(
        b'{"order_id": "x", "items": [' + b"1," * 400_000 + b"1]}",
        of_saga(PLACED),
        "items.0: Input should be a valid string",
    ),
    "byte-order-mark": Bad(b'\xef\xbb\xbf{"order_id": "x"}', of_saga(PLACED), "does not fit"),
    "utf-16": Bad('{"order_id": "x"}'.encode("utf-16"), of_saga(PLACED), "does not fit"),
    "lone-surrogate": Bad(b'{"order_id": "\\ud800"}', of_saga(PLACED), "does not fit"),
    "year-99999": Bad(
        b'{"order_id": "x"}',
        of_saga(PLACED, "x", ce_time=b"99999-01-01T00:00:00Z"),
        "expected a time such as",
    ),
    "null": Bad(None, of_saga(PLACED), "has no value"),
    "nested": Bad(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, of_saga(PLACED), "does not fit"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_record_is_kept_and_holds_nobody_up(system: System, name: str) -> None:
    bad, key = BAD[name], name.encode()
    platform = system.platform
    await system.publish(bad.topic, key, bad.value, bad.headers)
    dead = await system.dead_letter(bad.service, key)
    assert dead.value == bad.value
    assert dead.headers[: len(bad.headers)] == bad.headers
    failure = {name: value.decode() for name, value in dead.headers[len(bad.headers) :]}
    assert bad.reason in failure["dlq-reason"]
    assert failure["dlq-exception"] == bad.exception
    assert failure["dlq-service"] == bad.service
    assert failure["dlq-topic"] == platform.topics.events(bad.topic)
    assert failure["dlq-partition"].isdigit()
    assert failure["dlq-offset"].isdigit()
    assert abs(int(failure["dlq-time-ms"]) - platform.clock.now_ms()) < DEADLINE_S * 1000
    # The same key goes to the same partition, behind the bad record.
    client = client_of(platform, [OrderFulfilment])
    await client.start(OrderPlaced(order_id=name))
    view = await client.wait_for_end(OrderFulfilment, name, timeout_s=DEADLINE_S)
    assert view.status is SagaStatus.COMPLETED


async def test_a_plain_value_of_an_outside_producer_starts_a_saga(system: System) -> None:
    await system.publish("orders", b"plain", b'{"order_id": "plain", "extra": 1}')
    client = client_of(system.platform, [OrderFulfilment])
    view = await client.wait_for_end(OrderFulfilment, "plain", timeout_s=DEADLINE_S)
    assert view.status is SagaStatus.COMPLETED


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bad_record_is_acknowledged(kind: str, request: pytest.FixtureRequest) -> None:
    key = b"bad"
    async with platform_of(kind, request) as platform:
        async with running(platform) as system:
            await system.publish("orders", key, b"{", of_saga(PLACED))
            await system.dead_letter("inventory", key)
        await system.publish("orders", key, b"behind it")
        again = platform.broker.consumer(
            frozenset({platform.topics.events("orders")}),
            group=platform.topics.group("inventory"),
            listener=Deaf(),
        )
        await again.start()
        async with asyncio.timeout(DEADLINE_S):
            while not (records := await again.poll(records_max=10, timeout_ms=200)):
                pass
        await again.stop()
    assert [record.value for record in records] == [b"behind it"]
