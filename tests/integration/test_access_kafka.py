"""The exported Kafka ACLs suffice for a saga's whole life, and for nothing of anybody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sagas import (
    NOTHING,
    Event,
    EventContext,
    Saga,
    SagaStatus,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    seconds,
)
from sagas.adapters.clock import RandomIds, SystemClock
from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.adapters.memory.table import MemorySagaTable
from sagas.application import Platform, SagaSettings, client_of, run_services, topics_of
from sagas.core.errors import SettingsError
from sagas.core.saga import SagaEnded
from sagas.exports.kafka_access import grants_of, kafka_commands, operator_grants, user_of
from sagas.exports.topic_list import topic_commands
from sagas.ports import Consumer, OutgoingRecord, RebalanceListener, TopicPartition
from sagas.runtime.retention import check_retention
from sagas.wire.topics import Topics
from tests.cli_project import write_project
from tests.integration.secured_kafka import PASSWORD, SecuredKafka, secured_kafka

pytestmark = pytest.mark.slow

DEADLINE_S = 90
TOPICS = Topics("shop")


class ParcelEvent(Event):
    parcel_id: str


class ParcelOrdered(ParcelEvent, type="orders.ParcelOrdered.v1"): ...


class ParcelWithdrawn(ParcelEvent, type="orders.ParcelWithdrawn.v1"): ...


class ParcelPacked(ParcelEvent, type="shipping.ParcelPacked.v1"): ...


class ParcelTooLarge(ParcelEvent, type="shipping.ParcelTooLarge.v1"): ...


class ReceiptConfirmed(ParcelEvent, type="orders.ReceiptConfirmed.v1"): ...


class ReceiptAssumed(ParcelEvent, type="orders.ReceiptAssumed.v1"): ...


class Parcel(Saga):
    key = "parcel_id"
    start = Start(ParcelOrdered, by="orders", undone=ParcelWithdrawn)
    pack = Step(
        by="shipping", on=ParcelOrdered, done=ParcelPacked, refused=ParcelTooLarge, pivot=True
    )
    receive = Wait(
        by="orders",
        on=ParcelPacked,
        done=ReceiptConfirmed,
        timeout=seconds(0.2),
        otherwise=ReceiptAssumed,
    )


class InvoiceSent(ParcelEvent, type="billing.InvoiceSent.v1"): ...


class InvoicePaid(ParcelEvent, type="billing.InvoicePaid.v1"): ...


class Invoice(Saga):
    """Of others: the services here take no part in it."""

    key = "parcel_id"
    start = Start(InvoiceSent, by="billing", undone=NOTHING)
    pay = Step(by="billing", on=InvoiceSent, done=InvoicePaid, pivot=True)


orders, shipping, audit = Service("orders"), Service("shipping"), Service("audit")
SERVICES = (orders, shipping, audit)
ENDED: dict[str, str] = {}
BOTH_ENDED = asyncio.Event()


@orders.undoes(Parcel.start)
async def withdraw(ordered: ParcelOrdered, context: StepContext) -> ParcelWithdrawn:
    return ParcelWithdrawn(parcel_id=ordered.parcel_id)


@shipping.performs(Parcel.pack)
async def pack(ordered: ParcelOrdered, context: StepContext) -> ParcelPacked | ParcelTooLarge:
    if ordered.parcel_id.startswith("large"):
        return ParcelTooLarge(parcel_id=ordered.parcel_id)
    return ParcelPacked(parcel_id=ordered.parcel_id)


@audit.observes(Parcel.ended)
async def note(end: SagaEnded, context: EventContext) -> None:
    ENDED[end.saga_id] = end.status
    if len(ENDED) == 2:
        BOTH_ENDED.set()


USERS = [user_of(name, TOPICS) for name in ("orders", "shipping", "audit", "operator", "stranger")]
WANTED = topics_of([Parcel, Invoice], SERVICES, SagaSettings(namespace="shop", partitions=2))


@pytest.fixture(scope="module")
def kafka(kafka_servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A secured Kafka with the exported topics and rules. It asks for the shared one so that it is
    skipped, or fails, where real servers are not to be had."""
    with secured_kafka(tmp_path_factory.mktemp("secured"), USERS) as server:
        server.run(topic_commands(WANTED[:1]))  # one program for each; the others are made faster
        asyncio.run(
            KafkaAdmin(server.open, client_id="tests", settings=KafkaSettings()).create_topics(
                WANTED
            )
        )
        names = [topic.name for topic in WANTED]
        grants = [grant for one in SERVICES for grant in grants_of(one, TOPICS, names)]
        server.run(kafka_commands([*grants, *operator_grants([Parcel], SERVICES, TOPICS)]))
        yield server


@dataclass(frozen=True)
class User:
    """One user's connections."""

    broker: KafkaBroker
    admin: KafkaAdmin

    async def publish(self, topic: str) -> None:
        await self.broker.publish(OutgoingRecord(topic, b"x", b"{}", ()))


@asynccontextmanager
async def connected(kafka: SecuredKafka, name: str) -> AsyncIterator[User]:
    user, settings = user_of(name, TOPICS), kafka.settings_of(user_of(name, TOPICS))
    broker = KafkaBroker(kafka.secured, client_id=user, settings=settings)
    await broker.start()
    try:
        yield User(broker, KafkaAdmin(kafka.secured, client_id=user, settings=settings))
    finally:
        await broker.stop()


async def test_a_saga_lives_on_what_is_allowed(kafka: SecuredKafka) -> None:
    """Forward, back, by a timer, observed: each service as its own user, the table shared."""
    table, clock = MemorySagaTable(), SystemClock()
    await table.start()
    stop = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), AsyncExitStack() as stack:
        platforms: dict[str, Platform] = {}
        for service in SERVICES:
            user = await stack.enter_async_context(connected(kafka, service.name))
            platforms[service.name] = Platform(
                topics=TOPICS,
                broker=user.broker,
                table=table,
                clock=clock,
                ids=RandomIds(),
                reader=user.admin,
            )
        async with asyncio.TaskGroup() as running:
            for service in SERVICES:
                running.create_task(run_services([service], platforms[service.name], stop=stop))
            client = client_of(platforms["orders"], [Parcel])
            for key in ("small", "large"):
                await client.start(ParcelOrdered(parcel_id=key))
            ends = [(await client.wait_for_end(Parcel, key)).status for key in ("small", "large")]
            assert ends == [SagaStatus.COMPLETED, SagaStatus.COMPENSATED]
            view = await client.get(Parcel, "small")
            assert view is not None
            assert [entry.event for entry in view.timeline][-1] == ReceiptAssumed.event_type
            await BOTH_ENDED.wait()
            stop.set()
    assert ENDED == {"small": "COMPLETED", "large": "COMPENSATED"}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_a_service_sees_what_sagas_run_asks_for(
    kafka: SecuredKafka, service: Service
) -> None:
    names = [topic.name for topic in WANTED]
    async with connected(kafka, service.name) as user:
        assert (await user.admin.describe_topics()).keys() == set(names)
        await check_retention(names, user.admin, keep_ended_ms=8 * 86_400_000)


OWN = {
    "orders": [
        "shop.orders.events",
        "shop.parcel.control",
        "shop.orders.dlq",
        "shop.orders.retry.10s",
    ],
    "shipping": ["shop.shipping.events", "shop.orders.events", "shop.shipping.retry.1h"],
    "audit": ["shop.audit.dlq"],
    "operator": ["shop.parcel.control", "shop.orders.events", "shop.shipping.dlq"],
}
FOREIGN = {
    "orders": ["shop.billing.events", "shop.shipping.retry.10s", "shop.shipping.dlq"],
    "shipping": ["shop.invoice.control", "shop.orders.dlq"],
    "audit": ["shop.parcel.control", "shop.orders.events", "shop.audit.events"],
    "operator": ["shop.billing.events"],
}


@pytest.mark.parametrize("name", OWN)
async def test_writing(kafka: SecuredKafka, name: str) -> None:
    async with connected(kafka, name) as user:
        for topic in OWN[name]:
            await user.publish(topic)
    for topic in FOREIGN[name]:
        async with connected(kafka, name) as user:
            with pytest.raises(SettingsError, match=topic):
                await user.publish(topic)


def as_operator(kafka: SecuredKafka, password: str) -> dict[str, str]:
    return {
        "SAGAS_KAFKA": kafka.secured,
        "SAGAS_NAMESPACE": "shop",
        "SAGAS_PARTITIONS": "2",
        "SAGAS_KAFKA_PROTOCOL": "SASL_PLAINTEXT",
        "SAGAS_KAFKA_MECHANISM": "PLAIN",
        "SAGAS_KAFKA_USERNAME": user_of("operator", TOPICS),
        "SAGAS_KAFKA_PASSWORD": password,
    }


def test_the_command_line_says_who_it_is(kafka: SecuredKafka, tmp_path: Path) -> None:
    """By the environment: it sees the topics that it may see, and no others."""
    shop = write_project(tmp_path)
    ended = shop.sagas("topics", "plan", "-o", "json", **as_operator(kafka, PASSWORD))
    assert ended.code == 3, ended
    states = {topic["name"]: topic["state"] for topic in json.loads(ended.out)["topics"]}
    assert states["shop.orders.events"] == "ok"
    assert states["shop.payments.events"] == "missing"
    refused = shop.sagas("topics", "plan", **as_operator(kafka, "wrong-word"))
    assert refused.code in {2, 5}, refused
    assert "wrong-word" not in refused.only_line


async def test_who_has_no_rules_can_not_begin(kafka: SecuredKafka) -> None:
    with pytest.raises(SettingsError, match="change the access rules"):
        async with connected(kafka, "stranger"):
            pass


class Nobody(RebalanceListener):
    """Does nothing about partitions."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> None: ...

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None: ...


async def read(consumer: Consumer) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await consumer.start()
        while True:
            await consumer.poll(records_max=1, timeout_ms=500)


@pytest.mark.parametrize(
    ("name", "topic", "group"),
    [
        ("audit", "shop.orders.events", "shop.orders"),
        ("audit", "shop.orders.dlq", "shop.audit"),
        ("orders", "shop.billing.events", "shop.orders"),
        ("shipping", "shop.orders.retry.10s", "shop.shipping"),
    ],
)
async def test_reading_what_is_anothers(
    kafka: SecuredKafka, name: str, topic: str, group: str
) -> None:
    async with connected(kafka, name) as user:
        consumer = user.broker.consumer(frozenset({topic}), group=group, listener=Nobody())
        with pytest.raises(Exception, match=r"(?i)authori|allow"):
            await read(consumer)
        await consumer.stop()
