"""Reads partitions from their beginning to their present end: no group, nothing is committed.

Owns one aiokafka consumer for as long as it reads. The end is what Kafka says it is: an empty poll says
nothing, for aiokafka shows a Kafka that is away as one without records.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from sagas.adapters.kafka.closing import close_consumer
from sagas.adapters.kafka.connections import guard
from sagas.adapters.kafka.errors import CONNECTION_ERRORS, translated
from sagas.adapters.kafka.records import give_records
from sagas.adapters.kafka.settings import Connection, KafkaSettings
from sagas.ports import Record, TopicPartition

__all__ = ["read_to_end"]


async def read_to_end(
    connection: Connection,
    settings: KafkaSettings,
    partitions: Collection[TopicPartition],
    *,
    last: int | None = None,
) -> AsyncIterator[Record]:
    """Every record between beginning and end, as they are when this begins; with ``last`` only those of the
    last so many offsets of each partition.

    Raises BrokerUnavailable when nothing has come for the request timeout, or a record is unreadable.
    """
    consumer = AIOKafkaConsumer(
        **connection,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=settings.request_timeout_ms,
        fetch_max_wait_ms=min(settings.fetch_wait_ms, settings.request_timeout_ms),
        fetch_max_bytes=settings.fetch_max_bytes,
    )
    guard(consumer._client)  # noqa: SLF001 - see there
    try:
        async with asyncio.timeout(settings.connect_timeout_ms / 1000):
            await consumer.start()
        give_records(consumer)
        wanted = [KafkaPartition(*one) for one in partitions]
        left = await _begin(consumer, settings, wanted, last)
        while left:
            for record in await _fetch(consumer, settings, left):
                yield record
    except CONNECTION_ERRORS as error:
        raise translated(error, connection, _doing(partitions)) from error
    finally:
        await close_consumer(consumer, grace_s=settings.stop_timeout_ms / 1000)


def _doing(partitions: Collection[TopicPartition]) -> str:
    return f"reading {', '.join(sorted({one.topic for one in partitions}))}"


async def _begin(
    consumer: AIOKafkaConsumer,
    settings: KafkaSettings,
    partitions: list[KafkaPartition],
    last: int | None,
) -> dict[KafkaPartition, int]:
    """Stand where to begin in each partition that holds something; returns their ends."""
    async with asyncio.timeout(settings.request_timeout_ms / 1000):
        ends: dict[KafkaPartition, int] = await consumer.end_offsets(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
    left = {part: end for part, end in ends.items() if beginnings[part] < end}
    if left:
        consumer.assign(list(left))
        for partition, end in left.items():
            nearest = 0 if last is None else end - last
            consumer.seek(partition, max(beginnings[partition], nearest))
    return left


async def _fetch(
    consumer: AIOKafkaConsumer, settings: KafkaSettings, left: dict[KafkaPartition, int]
) -> list[Record]:
    """What comes next before the ends; partitions that stand there are taken out of ``left``.

    A position moves over what is no record (transaction markers, what retention took), too.
    """
    records: list[Record] = []
    async with asyncio.timeout(settings.request_timeout_ms / 1000):
        while left and not records:
            batches = await consumer.getmany(*left, timeout_ms=settings.fetch_wait_ms)
            for partition, messages in batches.items():
                records.extend(one for one in messages if one.offset < left[partition])
            for partition in tuple(left):
                if await consumer.position(partition) >= left[partition]:
                    del left[partition]
                    consumer.pause(partition)
    return records
