"""What a consumer fetches is given as the framework's records, and says what aiokafka's own say."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from sagas.adapters.kafka.records import give_records
from sagas.ports import Record

PLACE = KafkaPartition("orders.events", 3)
AT_MS = 1_767_225_600_000

BYTES = st.none() | st.binary(max_size=9)
HEADERS = st.lists(st.tuples(st.text("ab_é", max_size=4), BYTES), max_size=4)
WRITTEN = st.lists(st.tuples(BYTES, BYTES, HEADERS), min_size=1, max_size=5)


def batch(written: list[tuple[bytes | None, bytes | None, list[Any]]], first: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        2,
        0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=1 << 20,
    )
    for offset, (key, value, headers) in enumerate(written, first):
        assert builder.append(offset, AT_MS + offset, key, value, headers)
    return bytes(builder.build())


def found(stored: bytes, begin: int = 0) -> FetchResult:
    unpacked = PartitionRecords(PLACE, MemoryRecords(stored), [], begin, None, None, True, 0)
    return FetchResult(PLACE, assignment=None, partition_records=unpacked, backoff=0)


def read(result: FetchResult, *, before: bool = False) -> list[Any]:
    """What a consumer gives of it, be it fetched before or after it is told what to give."""
    fetcher = SimpleNamespace(_records=OrderedDict([(PLACE, result)] if before else []))
    give_records(SimpleNamespace(_fetcher=fetcher))
    if not before:
        fetcher._records[PLACE] = result
    assert fetcher._records[PLACE] is result
    return list(result._partition_records)


@pytest.mark.parametrize("before", [True, False])
@given(written=WRITTEN, begin=st.integers(0, 5))
def test_a_record_has_what_aiokafka_would_have_given(
    before: bool, written: list[tuple[bytes | None, bytes | None, list[Any]]], begin: int
) -> None:
    stored = batch(written)
    ours, theirs = found(stored, begin), found(stored, begin)
    expected = [
        Record(
            one.topic,
            one.partition,
            one.offset,
            one.key,
            one.value,
            tuple((name, value or b"") for name, value in one.headers),
            one.timestamp,
        )
        for one in theirs._partition_records
    ]
    given_ = read(ours, before=before)
    assert given_ == expected
    assert all(type(one) is Record and type(one.headers) is tuple for one in given_)
    assert ours._partition_records.next_fetch_offset == theirs._partition_records.next_fetch_offset


def test_a_spoiled_batch_is_no_records() -> None:
    stored = bytearray(batch([(b"k", b"value", [])]))
    stored[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        read(found(bytes(stored)))


def test_an_error_stays_an_error() -> None:
    fetcher = SimpleNamespace(_records=OrderedDict())
    give_records(SimpleNamespace(_fetcher=fetcher))
    fetcher._records[PLACE] = error = FetchError(error=CorruptRecordException(), backoff=0)
    assert fetcher._records.pop(PLACE) is error
