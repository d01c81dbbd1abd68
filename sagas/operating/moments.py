"""Moments and spans as text, the same wherever people or scripts read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["duration", "moment_of", "rfc3339", "span"]

_MOMENT_MS_MAX = 250_000_000_000_000
"""Of the year 9892. A record may carry any time at all; one that has no date is shown by the nearest."""
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
_EXACT_MS = 10_000


def rfc3339(ms: int) -> str:
    """A moment in UTC, to the millisecond."""
    return f"{moment_of(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def moment_of(ms: int) -> datetime:
    """The second of a moment, in UTC; the nearest one that has a date."""
    return datetime.fromtimestamp(max(0, min(ms, _MOMENT_MS_MAX)) // 1000, UTC)


def duration(ms: int | None) -> str:
    """A span as people say it: ``12 ms``, ``3.4 s``, ``5 min 10 s``, ``2 h 3 min``, ``4 d 1 h``."""
    if ms is None:
        return ""
    if ms < _SECOND_MS:
        return f"{ms} ms"
    if ms < _MINUTE_MS:
        return f"{ms / _SECOND_MS:.1f} s"
    if ms < _HOUR_MS:
        return f"{ms // _MINUTE_MS} min {ms % _MINUTE_MS // _SECOND_MS} s"
    if ms < _DAY_MS:
        return f"{ms // _HOUR_MS} h {ms % _HOUR_MS // _MINUTE_MS} min"
    return f"{ms // _DAY_MS} d {ms % _DAY_MS // _HOUR_MS} h"


def span(ms: int) -> str:
    """A span within a sentence, rounded down: ``12 ms``, ``3.4 s``, ``27 min``, ``2 h 3 min``."""
    ms = max(0, ms)
    if ms < _SECOND_MS:
        return f"{ms} ms"
    if ms < _EXACT_MS:
        return f"{ms // 100 / 10:g} s"
    if ms < _MINUTE_MS:
        return f"{ms // _SECOND_MS} s"
    if ms < _HOUR_MS:
        return f"{ms // _MINUTE_MS} min"
    big, small, words = (
        (_HOUR_MS, _MINUTE_MS, "h min") if ms < _DAY_MS else (_DAY_MS, _HOUR_MS, "d h")
    )
    whole, rest = divmod(ms, big)
    unit, part = words.split()
    return f"{whole} {unit} {rest // small} {part}" if rest // small else f"{whole} {unit}"
