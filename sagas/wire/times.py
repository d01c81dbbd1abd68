"""Moments as text: RFC 3339 on the wire, milliseconds since the epoch within.

Owns both directions. Every message carries two, so the seconds and fractions that were met are remembered.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from sagas.core.errors import InvalidMessage

__all__ = [
    "FRACTIONS",
    "FRACTIONS_MS",
    "TIME_MS_MAX",
    "milliseconds",
    "second_ms",
    "second_text",
    "time_text",
]

TIME_MS_MAX = 250_000_000_000_000
"""Some time before the year 9999, the last one that can be written down."""

FRACTIONS = tuple(b".%03dZ" % ms for ms in range(1000))
"""The end of a moment as we write it, by its milliseconds: ``.250Z``."""
FRACTIONS_MS = {text.decode(): ms for ms, text in enumerate(FRACTIONS)}


def time_text(ms: int) -> bytes:
    """A moment as we write it: ``2026-01-31T12:00:00.000Z``."""
    return second_text(ms // 1000) + FRACTIONS[ms % 1000]


@lru_cache(maxsize=1024)
def second_text(seconds: int) -> bytes:
    """The same second is written many times: events, deadlines, and what they lead to."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19].encode()


def milliseconds(name: str, text: str) -> int:
    """The moment that a header tells, in any form of RFC 3339. Raises InvalidMessage."""
    try:
        return second_ms(text[:19]) + FRACTIONS_MS[text[19:]]
    except (ValueError, KeyError):
        pass  # not as we write it
    return _of_others(name, text)


def _of_others(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        ms = round(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        ms = -1
    if not 0 <= ms < TIME_MS_MAX:
        raise InvalidMessage(
            f"The header {name} is {text[:80]!r}; expected a time such as 2026-01-31T12:00:00Z."
        )
    return ms


@lru_cache(maxsize=1024)
def second_ms(text: str) -> int:
    """A second as we write it, ``2026-01-31T12:00:00``. Raises ValueError for anything else."""
    try:
        ms = round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000
    except OverflowError as error:
        raise ValueError(text) from error
    if not 0 <= ms < TIME_MS_MAX or second_text(ms // 1000) != text.encode():
        raise ValueError(text)
    return ms
