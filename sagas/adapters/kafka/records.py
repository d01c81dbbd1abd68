"""Makes aiokafka's consumers give the framework's records, which are not aiokafka's own before.

aiokafka goes on unpacking batches, with its checks of their sums, codecs and transactions; only what it makes
of a record is ours: that spares 1 us of 3 for each, and most concern nobody. By private names: the version is
pinned, and ``tests/unit/test_kafka_records.py`` compares. Keeps nothing.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords

from sagas.ports import Record

__all__ = ["give_records"]

_new = tuple.__new__
"""A named tuple's own constructor is a function in Python: 0.1 us of each record."""


def give_records(consumer: AIOKafkaConsumer) -> None:
    """Let what this consumer fetches from now on, and what it has fetched, be the framework's records, bytes
    untouched. Call it once it has started, and before anything is taken from it.
    """
    fetched = _Fetched()
    for partition, found in consumer._fetcher._records.items():
        fetched[partition] = found
    consumer._fetcher._records = fetched


class _Fetched(OrderedDict[KafkaPartition, Any]):
    """What was fetched of each partition and not taken yet: records, or an error."""

    def __setitem__(self, partition: KafkaPartition, found: Any) -> None:
        if type(found) is FetchResult:
            unpacked: PartitionRecords = found._partition_records
            unpacked._consumer_record = _record
        super().__setitem__(partition, found)


def _record(partition: KafkaPartition, read: Any) -> Record:
    headers = read.headers
    if headers and None in tuple(zip(*headers, strict=True))[1]:
        # Kafka knows null header values, of other people's producers
        headers = [(name, value or b"") for name, value in headers]
    topic, number = partition
    fields = (topic, number, read.offset, read.key, read.value, tuple(headers), read.timestamp)
    return _new(Record, fields)
