"""What seldom comes is left out of Kafka's fetches while other topics are busy, and only then."""

import asyncio
import uuid

from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.consumer import KafkaConsumer
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.ports import NewTopic, OutgoingRecord, TopicPartition
from tests.contract.broker.world import DEADLINE_S, Listener

SETTINGS = KafkaSettings(fetch_wait_ms=100)


def resting(consumer: KafkaConsumer) -> set[TopicPartition]:
    """Whom aiokafka leaves out."""
    assert consumer._consumer is not None
    return {TopicPartition(*partition) for partition in consumer._consumer.paused()}


async def test_a_topic_on_which_little_comes_rests_while_another_is_busy(
    kafka_servers: str,
) -> None:
    busy, seldom = (f"resting-{uuid.uuid4().hex[:12]}-{name}" for name in ("busy", "seldom"))
    admin = KafkaAdmin(kafka_servers, client_id="tests", settings=SETTINGS)
    await admin.create_topics([NewTopic(name=name, partitions=2) for name in (busy, seldom)])
    broker = KafkaBroker(kafka_servers, client_id="tests", settings=SETTINGS)
    await broker.start()
    consumer = broker.consumer(
        frozenset({busy, seldom}), group=busy, listener=Listener(), seldom=frozenset({seldom})
    )
    try:
        await consumer.start()
        all_of_them = {TopicPartition(seldom, number) for number in range(2)}
        async with asyncio.timeout(DEADLINE_S):
            await broker.publish(OutgoingRecord(busy, b"k", b"v"))
            while resting(consumer) != all_of_them:
                await broker.publish(OutgoingRecord(busy, b"k", b"v"))
                await consumer.poll(records_max=10, timeout_ms=200)
            while resting(consumer):
                await consumer.poll(records_max=10, timeout_ms=200)
    finally:
        await consumer.stop()
        await broker.stop()
