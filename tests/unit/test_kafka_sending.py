"""A record that is put into a batch at once is where aiokafka's own ``send`` would have put it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from sagas.adapters.kafka.sending import partition_of, put_at_once
from sagas.ports import OutgoingRecord

TOPIC = "orders.events"
HEADERS = (("ce_id", b"1"), ("ce_type", b"orders.OrderPlaced.v1"))
RECORDS = [OutgoingRecord(TOPIC, b"o-%d" % (n % 7), b"value %d" % n, HEADERS) for n in range(40)]


@given(key=st.none() | st.binary(max_size=40), count=st.integers(1, 50))
def test_a_key_belongs_where_every_client_puts_it(key: bytes | None, count: int) -> None:
    everywhere = list(range(count))
    for _ in range(2):
        found = partition_of(key, everywhere, everywhere[-1:])
        assert found == DefaultPartitioner()(key, everywhere, everywhere[-1:])


def producer(*, batch_size_bytes: int = 1 << 16) -> AIOKafkaProducer:
    """One that knows a topic of four partitions, and sends nothing: it was never started."""
    made = AIOKafkaProducer(
        max_batch_size=batch_size_bytes, max_request_size=2_000, request_timeout_ms=100
    )
    made._metadata._partitions[TOPIC] = dict.fromkeys(range(4))
    # Without a leader known there is none that is available: only a record without a key asks.
    made._metadata.available_partitions_for_topic = lambda _: set()
    return made


@pytest.fixture
async def producers() -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaProducer]]:
    ours, theirs = producer(), producer()
    yield ours, theirs
    for one in (ours, theirs):
        one._closed = True


def written(by: AIOKafkaProducer) -> dict[Any, Any]:
    """The records of each partition's batches."""
    return {
        place: [
            (one.offset, one.key, one.value, one.headers)
            for batch in batches
            for one in MemoryRecords(bytes(batch.get_data_buffer())).next_batch()
        ]
        for place, batches in by._message_accumulator._batches.items()
    }


async def test_records_are_in_the_batches_in_which_send_puts_them(
    producers: tuple[AIOKafkaProducer, AIOKafkaProducer],
) -> None:
    ours, theirs = producers
    for topic, key, value, headers in RECORDS:
        assert put_at_once(ours, OutgoingRecord(topic, key, value, headers)) is not None
        await theirs.send(topic, value, key, headers=list(headers))
    assert written(ours) == written(theirs)


async def test_who_waits_gets_what_the_batch_gets(
    producers: tuple[AIOKafkaProducer, AIOKafkaProducer],
) -> None:
    ours, _ = producers
    deliveries = [put_at_once(ours, record) for record in RECORDS[:3]]
    for batches in ours._message_accumulator._batches.values():
        batches[0].done(base_offset=10, timestamp=-1)
    assert all(one is not None and one.result().topic == TOPIC for one in deliveries)


async def test_what_does_not_fit_in_at_once_is_left_alone() -> None:
    ours = producer(batch_size_bytes=300)
    record = OutgoingRecord(TOPIC, b"o-1", bytes(120), ())
    taken = [put_at_once(ours, record) for _ in range(4)]
    assert [isinstance(one, asyncio.Future) for one in taken] == [True, False, False, False]
    assert put_at_once(ours, OutgoingRecord(TOPIC, None, b"no key")) is None
    assert put_at_once(ours, OutgoingRecord("unknown", b"o-1", b"value")) is None
    with pytest.raises(MessageSizeTooLargeError):
        put_at_once(ours, OutgoingRecord(TOPIC, b"o-2", bytes(3_000)))
    ours._message_accumulator._exception = RuntimeError("given up")
    assert put_at_once(ours, OutgoingRecord(TOPIC, b"o-3", b"value")) is None
    ours._closed = True
