"""How far a consumer is behind the ends of its partitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import IllegalStateError

from sagas.ports import TopicPartition

__all__ = ["undelivered"]


async def undelivered(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
) -> Mapping[TopicPartition, int]:
    """How many offsets of each partition are ahead of what the consumer has given out.

    The high water mark that comes with records is of no use here: a partition that is paused brings none,
    and one is paused where much is waiting. A partition that changes hands meanwhile is left out. Raises
    aiokafka's errors.
    """
    asked = {KafkaPartition(*one): one for one in partitions}
    if not asked:
        return {}
    ends: Mapping[KafkaPartition, int] = await consumer.end_offsets(list(asked))
    found = {}
    for kafka_partition, end in ends.items():
        try:
            position: int = await consumer.position(kafka_partition)
        except IllegalStateError:
            continue
        found[asked[kafka_partition]] = max(0, end - position)
    return found
