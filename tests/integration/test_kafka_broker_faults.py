"""Kafka away, cut off and silent; batches that a topic refuses; records that cannot be read."""

import asyncio
import gc
import re
import socket
import struct
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewTopic as KafkaNewTopic
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.record.util import calc_crc32c

from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.core.errors import SettingsError
from sagas.ports import BrokerUnavailable, MessageTooLarge, NewTopic, OutgoingRecord, Record
from tests.contract.broker.world import DEADLINE_S, Listener, next_offsets, read, values
from tests.integration.kafka_proxy import KafkaProxy

SETTINGS = KafkaSettings(
    connect_timeout_ms=1_000,
    request_timeout_ms=500,
    publish_timeout_ms=1_000,
    metadata_timeout_ms=1_000,
    commit_timeout_ms=1_000,
    stop_timeout_ms=1_000,
    session_timeout_ms=6_000,
    heartbeat_interval_ms=200,
    rebalance_timeout_ms=6_000,
    fetch_wait_ms=100,
    unreadable_retry_ms=100,
)


def _broker(servers: str) -> KafkaBroker:
    return KafkaBroker(servers, client_id="faults", settings=SETTINGS)


@pytest.fixture(autouse=True)
async def _nothing_left_open() -> AsyncIterator[None]:
    """Clients that were not closed complain when they are collected, and so do lost exceptions."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    before = asyncio.all_tasks()
    yield
    gc.collect()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left
    assert complaints == []


@pytest.fixture
async def proxy(kafka_servers: str) -> AsyncIterator[KafkaProxy]:
    async with KafkaProxy(kafka_servers).running() as proxy:
        yield proxy


@pytest.fixture
async def topic(kafka_servers: str) -> str:
    name = f"faults-{uuid.uuid4().hex}"
    admin = KafkaAdmin(kafka_servers, client_id="faults", settings=SETTINGS)
    await admin.create_topics([NewTopic(name=name, partitions=2)])
    return name


async def test_kafka_that_is_away_is_reported_with_its_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        broker = _broker(address)
        consumer = broker.consumer(frozenset({"t"}), group="g", listener=Listener())
        admin = KafkaAdmin(address, client_id="faults", settings=SETTINGS)
        async with asyncio.timeout(DEADLINE_S):
            for attempt in (broker.start(), consumer.start(), admin.describe_topics()):
                with pytest.raises(BrokerUnavailable, match=f"Kafka at {address}"):
                    await attempt
            await consumer.stop()
            await broker.stop()


async def test_a_kafka_that_accepts_and_says_nothing_is_given_up(proxy: KafkaProxy) -> None:
    proxy.hang()
    broker = _broker(proxy.address)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(BrokerUnavailable, match=proxy.address):
            await broker.start()


@pytest.mark.parametrize("fault", ["cut", "hang"])
async def test_publishing_fails_while_kafka_is_away_and_works_when_it_is_back(
    proxy: KafkaProxy, kafka_servers: str, topic: str, fault: str
) -> None:
    broker = _broker(proxy.address)
    await broker.start()
    await broker.publish(OutgoingRecord(topic, b"before", b"before"))
    records = [OutgoingRecord(topic, b"%d" % n, b"%d" % n) for n in range(200)]

    getattr(proxy, fault)()
    async with asyncio.timeout(DEADLINE_S):
        publishing = (broker.publish(record) for record in records)
        outcomes = await asyncio.gather(*publishing, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {BrokerUnavailable}
        with pytest.raises(BrokerUnavailable):
            await broker.publish(records[0])

        proxy.heal()
        await asyncio.gather(*(_publish_until_confirmed(broker, record) for record in records))
        await broker.stop()
    await _published(kafka_servers, topic, {b"before", *(record.key or b"" for record in records)})


@pytest.mark.parametrize("fault", ["cut", "hang"])
async def test_a_broker_stops_also_when_kafka_is_away(
    proxy: KafkaProxy, topic: str, fault: str
) -> None:
    broker = _broker(proxy.address)
    await broker.start()
    await broker.publish(OutgoingRecord(topic, b"k", b"v"))
    consumer = broker.consumer(frozenset({topic}), group=topic, listener=Listener())
    await consumer.start()
    offsets = next_offsets(await read(consumer, 1))
    polling = asyncio.create_task(consumer.poll(records_max=1, timeout_ms=3_600_000))

    getattr(proxy, fault)()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(BrokerUnavailable, match=f"a commit of {topic}"):
            await consumer.commit(offsets)
        publishing = asyncio.create_task(broker.publish(OutgoingRecord(topic, b"k", b"w")))
        await asyncio.sleep(0)
        await consumer.stop()
        await broker.stop()
        assert list(await polling) == []
        with pytest.raises(BrokerUnavailable):
            await publishing


async def test_a_consumer_goes_on_when_its_connections_were_cut(
    proxy: KafkaProxy, kafka_servers: str, topic: str
) -> None:
    direct, through = _broker(kafka_servers), _broker(proxy.address)
    await direct.start()
    consumer = through.consumer(frozenset({topic}), group=topic, listener=Listener())
    await consumer.start()
    await direct.publish(OutgoingRecord(topic, b"k", b"1"))
    await read(consumer, 1)

    proxy.cut()
    await direct.publish(OutgoingRecord(topic, b"k", b"2"))
    async with asyncio.timeout(DEADLINE_S):
        assert list(await consumer.poll(records_max=1, timeout_ms=200)) == []
        proxy.heal()
        seen: list[Record] = []
        while b"2" not in values(seen):
            seen.extend(await consumer.poll(records_max=10, timeout_ms=200))
        await consumer.stop()
        await direct.stop()


async def test_of_a_refused_batch_only_the_record_that_is_too_large_fails(
    kafka_servers: str,
) -> None:
    topic = f"faults-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_servers)
    await admin.start()
    small = KafkaNewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "5000"})
    await admin.create_topics([small])
    await admin.close()
    broker = _broker(kafka_servers)
    await broker.start()
    records = [OutgoingRecord(topic, b"%d" % n, bytes(100)) for n in range(20)]
    too_large = OutgoingRecord(topic, b"large", bytes(6_000))

    async with asyncio.timeout(DEADLINE_S):
        await _publish_until_confirmed(broker, records[0])
        outcomes = await asyncio.gather(
            *(_publish_until_confirmed(broker, record) for record in (*records, too_large)),
            return_exceptions=True,
        )
        await broker.stop()

    assert isinstance(outcomes.pop(), MessageTooLarge)
    assert outcomes == [None] * len(records)


async def test_an_unreadable_record_is_reported_and_holds_its_own_partition_only(
    kafka_servers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = f"faults-{uuid.uuid4().hex}"
    admin = KafkaAdmin(kafka_servers, client_id="faults", settings=SETTINGS)
    await admin.create_topics([NewTopic(name=topic, partitions=6)])
    readable = [b"good 1", b"good 2"]
    for value in readable:
        await _produce(kafka_servers, topic, 0, value)
    await _produce(kafka_servers, topic, 0, b"bad", header=b"\xff\xff\xff\xff")
    await _produce(kafka_servers, topic, 0, b"behind")
    # The error is met after some of these were fetched by the same call: they must not be lost.
    for partition in range(1, 6):
        readable.append(b"other %d" % partition)
        await _produce(kafka_servers, topic, partition, readable[-1])
    broker = _broker(kafka_servers)
    consumer = broker.consumer(frozenset({topic}), group=topic, listener=Listener())
    await consumer.start()

    records = await read(consumer, len(readable))
    await consumer.commit(next_offsets(records))
    readable.append(b"later")
    await _produce(kafka_servers, topic, 1, b"later")
    records += await read(consumer, 1)
    printed = ""
    async with asyncio.timeout(DEADLINE_S):
        while printed.count("partition.unreadable") < 2:
            assert list(await consumer.poll(records_max=10, timeout_ms=50)) == []
            printed += capsys.readouterr().out
        await consumer.stop()

    assert sorted(record.value or b"" for record in records) == sorted(readable)
    assert f"topic={topic}" in re.sub(r"\x1b\[[0-9;]*m", "", printed)


async def test_a_compression_bomb_is_refused_by_the_topic_and_does_not_reach_a_consumer(
    kafka_servers: str,
) -> None:
    topic = f"faults-{uuid.uuid4().hex}"
    admin = KafkaAdmin(kafka_servers, client_id="faults", settings=SETTINGS)
    await admin.create_topics([NewTopic(name=topic, partitions=1)])
    size_bytes = 20 * 1024 * 1024
    outsider = AIOKafkaProducer(
        bootstrap_servers=kafka_servers,
        compression_type="gzip",
        max_request_size=2 * size_bytes,
        max_batch_size=2 * size_bytes,
    )
    await outsider.start()
    try:
        with pytest.raises(MessageSizeTooLargeError):
            await outsider.send_and_wait(topic, bytes(size_bytes))
        await outsider.send_and_wait(topic, b"good" * 1_000)
    finally:
        await outsider.stop()
    consumer = _broker(kafka_servers).consumer(frozenset({topic}), group=topic, listener=Listener())
    await consumer.start()
    (record,) = await read(consumer, 1)
    await consumer.stop()
    assert record.value == b"good" * 1_000


async def test_a_missing_topic_is_told_from_a_kafka_that_is_away(
    proxy: KafkaProxy, topic: str
) -> None:
    broker = _broker(proxy.address)
    await broker.start()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(SettingsError, match="faults-missing does not exist"):
            await broker.publish(OutgoingRecord("faults-missing", b"k", b"v"))
        proxy.cut()
        with pytest.raises(BrokerUnavailable):
            await broker.publish(OutgoingRecord("faults-missing", b"k", b"v"))
        await broker.stop()


async def _publish_until_confirmed(broker: KafkaBroker, record: OutgoingRecord) -> None:
    while True:
        try:
            await broker.publish(record)
        except BrokerUnavailable:
            # The proxy runs in this loop and needs its turns.
            await asyncio.sleep(0.01)
        else:
            return


async def _published(servers: str, topic: str, expected: set[bytes]) -> None:
    """See that every expected value is there at least once."""
    broker = _broker(servers)
    consumer = broker.consumer(frozenset({topic}), group=f"{topic}-check", listener=Listener())
    await consumer.start()
    seen: set[bytes] = set()
    async with asyncio.timeout(DEADLINE_S):
        while not expected <= seen:
            seen |= values(await consumer.poll(records_max=100, timeout_ms=200))
    await consumer.stop()


async def _produce(
    servers: str, topic: str, partition: int, value: bytes, header: bytes = b"name"
) -> None:
    """Publish one record whose only header has this name, which need not be text."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    await producer.start()
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"k", value=value, headers=[("name", b"v")])
    batch.close()
    buffer = bytearray(batch._build()).replace(b"\x08name", b"\x08" + header)
    struct.pack_into(">I", buffer, 17, calc_crc32c(bytes(buffer[21:])))
    batch._buffer = buffer
    await (await producer.send_batch(batch, topic, partition=partition))
    await producer.stop()
