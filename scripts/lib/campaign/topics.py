"""Reading and writing the topics without the framework: all there is, what comes, and who lags."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from campaign.records import NAMESPACE, SERVICES, Place, Seen, seen

__all__ = ["Draft", "consumer_of_all", "everything", "lags", "members_of", "publish"]

Draft = tuple[str, bytes | None, bytes | None, Sequence[tuple[str, bytes]]]


async def everything(kafka: str) -> list[Seen]:
    """Every record of the namespace, from the beginning to the end as it is now."""
    found: list[Seen] = []
    async with consumer_of_all(kafka) as consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        left = {partition for partition, end in ends.items() if end}
        async with asyncio.timeout(120):
            while left:
                for messages in (await consumer.getmany(timeout_ms=500)).values():
                    found.extend(map(seen, messages))
                left = {one for one in left if await consumer.position(one) < ends[one]}
    return found


@asynccontextmanager
async def consumer_of_all(kafka: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of all topics of the namespace, in no group, that stands at their beginning."""
    async with _admin(kafka) as admin:
        described = await admin.describe_topics()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            if topic["topic"].startswith(f"{NAMESPACE}.")
            for partition in topic["partitions"]
        ]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        yield consumer
    finally:
        await consumer.stop()


async def publish(kafka: str, drafts: Iterable[Draft]) -> list[Place]:
    """Publish records of topic, key, value and headers, as they are; where each of them lies."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=2_000_000)
    async with asyncio.timeout(60):
        await producer.start()
        try:
            sent = [
                await producer.send_and_wait(topic, value, key, headers=list(headers))
                for topic, key, value, headers in drafts
            ]
        finally:
            await producer.stop()
    return [Place(one.topic, one.partition, one.offset) for one in sent]


async def members_of(kafka: str, service: str) -> int:
    """How many members the service's group has, once it does not rebalance; else none."""
    async with _admin(kafka) as admin:
        described = await admin.describe_consumer_groups([f"{NAMESPACE}.{service}"])
    _, _, state, _, _, members, *_ = described[0].groups[0]
    return len(members) if state == "Stable" else 0


async def lags(kafka: str) -> list[str]:
    """What the services' groups have not committed up to the end, in words."""
    found = []
    async with _admin(kafka) as admin, consumer_of_all(kafka) as consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        for service in SERVICES:
            offsets = await admin.list_consumer_group_offsets(f"{NAMESPACE}.{service}")
            for partition, committed in offsets.items():
                if committed.offset < ends.get(partition, 0):
                    where = f"{partition.topic}-{partition.partition}"
                    left = ends[partition] - committed.offset
                    found.append(f"{service} has not committed {left} records of {where}.")
    return found


@asynccontextmanager
async def _admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
