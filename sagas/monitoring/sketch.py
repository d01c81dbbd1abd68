"""Latencies in buckets of fixed bounds, each 4 % wider than the one before.

Owns the bounds and what follows from them: a percentile is off by at most ``RELATIVE_ERROR`` of itself.
Bounds that never change make counts that can be added, taken back and merged exactly, whoever counted; there
are some 540 up to a month, and only those that are met take any room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log

__all__ = ["RELATIVE_ERROR", "bucket_of", "latency_of", "percentiles"]

RELATIVE_ERROR = 0.02
"""Of a percentile, for latencies between 1 ms and ``_LONGEST_MS``."""
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = log(_GAMMA)
_LONGEST_MS = 31 * 86_400_000


def bucket_of(latency_ms: int) -> int:
    """The bucket of a latency: 0 below a millisecond; what took longer than a month counts as a month."""
    if latency_ms < 1:
        return 0
    return 1 + ceil(log(min(latency_ms, _LONGEST_MS)) / _LOG_GAMMA - 1e-9)


def latency_of(bucket: int) -> float:
    """The latency in milliseconds that a bucket stands for: as far, by ratio, from each of its bounds."""
    if bucket == 0:
        return 0.0
    upper: float = _GAMMA ** (bucket - 1)
    return 2 * upper / (1 + _GAMMA)


def percentiles(counts: Mapping[int, int], wanted: Sequence[float]) -> list[float]:
    """The latencies in milliseconds at these ranks, each between 0 and 1, by nearest rank; of no latencies
    none at all.
    """
    total = sum(counts.values())
    if not total:
        return []
    ordered = sorted(counts)
    return [_at_rank(counts, ordered, max(1, ceil(rank * total))) for rank in wanted]


def _at_rank(counts: Mapping[int, int], ordered: Sequence[int], rank: int) -> float:
    seen = 0
    for bucket in ordered:
        seen += counts[bucket]
        if seen >= rank:
            return latency_of(bucket)
    return latency_of(ordered[-1])
