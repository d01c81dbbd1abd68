"""How far consumer groups are behind: what they have committed against where the partitions end.

Owns one aiokafka consumer of no group for as long as it asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient

from sagas.adapters.kafka.closing import close_consumer
from sagas.adapters.kafka.connections import guard
from sagas.adapters.kafka.settings import Connection, KafkaSettings
from sagas.ports import TopicPartition

__all__ = ["records_behind"]


async def records_behind(
    client: AIOKafkaAdminClient,
    groups: Mapping[str, Collection[TopicPartition]],
    *,
    connection: Connection,
    settings: KafkaSettings,
) -> Mapping[str, Mapping[TopicPartition, int]]:
    """For each group and partition, how many records are not committed. Raises aiokafka's errors.

    The offsets of the groups are asked for first: what is committed meanwhile makes a group look further
    behind than it is, never ahead.
    """
    committed = {
        group: await _committed(client, group, [KafkaPartition(*one) for one in partitions])
        for group, partitions in groups.items()
    }
    everything = sorted({one for found in committed.values() for one in found})
    if not everything:
        return {group: {} for group in groups}
    async with _reader(connection, settings) as reader:
        # Else it learns of one topic after the other, a tenth of a second each.
        await reader._client.set_topics({one.topic for one in everything})  # noqa: SLF001
        ends = await reader.end_offsets(everything)
        beginnings = await reader.beginning_offsets(everything)
    return {
        group: {
            TopicPartition(*one): max(0, ends[one] - max(offset, beginnings[one]))
            for one, offset in found.items()
        }
        for group, found in committed.items()
    }


async def _committed(
    client: AIOKafkaAdminClient, group: str, partitions: Sequence[KafkaPartition]
) -> dict[KafkaPartition, int]:
    """The next offset to read of each partition; -1 where nothing was committed."""
    if not partitions:
        return {}
    found = await client.list_consumer_group_offsets(group, partitions=list(partitions))
    offsets = {one: found[one].offset for one in partitions if one in found}
    return dict.fromkeys(partitions, -1) | offsets


@asynccontextmanager
async def _reader(
    connection: Connection, settings: KafkaSettings
) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **connection,
        group_id=None,
        enable_auto_commit=False,
        request_timeout_ms=settings.request_timeout_ms,
    )
    guard(consumer._client)  # noqa: SLF001 - see there
    try:
        async with asyncio.timeout(settings.connect_timeout_ms / 1000):
            await consumer.start()
        async with asyncio.timeout(settings.request_timeout_ms / 1000):
            yield consumer
    finally:
        await close_consumer(consumer, grace_s=settings.stop_timeout_ms / 1000)
