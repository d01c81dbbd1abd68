"""Puts a record into the open batch of its partition at once, and remembers where keys belong.

aiokafka's ``send`` takes two coroutines for it and asks for what has not changed: 5 of the 20 us of a record
that is published among others. By private names: the version is pinned, and
``tests/unit/test_kafka_sending.py`` compares. What does not fit in at once is left to ``send``. Owns no
connection.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.partitioner import DefaultPartitioner, murmur2

from sagas.ports import OutgoingRecord

__all__ = ["partition_of", "put_at_once"]

_of_no_key = DefaultPartitioner()


def partition_of(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """The partition that every Kafka client gives a key by default; any that is available without one."""
    if key is None:
        number: int = _of_no_key(key, partitions, available)
        return number
    return partitions[_hash_of(key) % len(partitions)]


@lru_cache(maxsize=8192)
def _hash_of(key: bytes) -> int:
    """In Python, and of a saga's key several times within moments."""
    hashed: int = murmur2(key)
    return hashed & 0x7FFFFFFF


def put_at_once(producer: AIOKafkaProducer, record: OutgoingRecord) -> asyncio.Future[Any] | None:
    """What gets the acknowledgement of a record that has a key, if the open batch of its partition has room;
    else None, and nothing is done. Raises aiokafka's MessageSizeTooLargeError.
    """
    topic, key, value, headers = record
    partitions = producer._metadata.partitions_for_topic(topic)
    accumulator = producer._message_accumulator
    if not partitions or key is None or accumulator._closed or accumulator._exception is not None:
        return None
    fields = list(headers)
    producer._serialize(key, value, fields)  # looks at the size, too
    place = KafkaPartition(topic, partition_of(key, list(partitions), ()))
    open_ = accumulator._batches.get(place)
    batch = open_[-1] if open_ else accumulator._append_batch(accumulator.create_builder(), place)
    delivery: asyncio.Future[Any] | None = batch.append(key, value, None, headers=fields)
    return delivery
