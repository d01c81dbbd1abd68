"""Percentiles from buckets are off by the error that is stated, and no more."""

from __future__ import annotations

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.monitoring.sketch import RELATIVE_ERROR, bucket_of, latency_of, percentiles

LATENCIES = st.lists(st.integers(0, 30 * 86_400_000), min_size=1, max_size=200)


@given(latencies=LATENCIES, rank=st.floats(0, 1))
def test_a_percentile_is_off_by_the_stated_error_at_most(latencies: list[int], rank: float) -> None:
    true = sorted(latencies)[max(1, ceil(rank * len(latencies))) - 1]
    found = percentiles(Counter(map(bucket_of, latencies)), [rank])
    assert found == [pytest.approx(true, rel=RELATIVE_ERROR * 1.0001, abs=0)]


@given(first=LATENCIES, second=LATENCIES)
def test_merged_counts_are_those_of_all(first: list[int], second: list[int]) -> None:
    merged = Counter(map(bucket_of, first)) + Counter(map(bucket_of, second))
    assert merged == Counter(map(bucket_of, first + second))


def test_buckets_are_bounded() -> None:
    assert bucket_of(-5) == bucket_of(0) == 0
    assert latency_of(0) == 0
    assert bucket_of(10**15) == bucket_of(10**12) < 550
    assert percentiles({}, [0.5]) == []
