"""Spans of time as a declaration says them: ``seconds(30)``, ``days(7)``, ``NEVER``."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, final

__all__ = [
    "NEVER",
    "NoTimeout",
    "Timeout",
    "days",
    "hours",
    "milliseconds_of",
    "minutes",
    "seconds",
    "span_ms",
    "span_words",
]


@final
class NoTimeout:
    """The type of ``NEVER``."""

    def __repr__(self) -> str:
        return "NEVER"


NEVER: Final = NoTimeout()
"""Said of a step whose time is never up."""

Timeout = timedelta | NoTimeout


def seconds(number: float) -> timedelta:
    """So many seconds."""
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    """So many hours."""
    return timedelta(hours=number)


def days(number: float) -> timedelta:
    """So many days of 24 hours."""
    return timedelta(days=number)


def milliseconds_of(timeout: Timeout | None) -> int | None:
    """Whole milliseconds, rounded down; None for ``NEVER`` and for nothing said."""
    return timeout // timedelta(milliseconds=1) if isinstance(timeout, timedelta) else None


FOREVER: Final = "forever"
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}


def span_ms(text: str) -> int | None:
    """A span as settings say it, such as ``8d``, ``36h``, ``90m`` or ``30s``, in milliseconds; None for
    ``forever``. Raises ValueError.
    """
    if text == FOREVER:
        return None
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS_MS or not (number.isascii() and number.isdigit()) or int(number) < 1:
        raise ValueError("expected a span such as 8d, 36h, 90m or 30s, or forever")
    return int(number) * _UNITS_MS[unit]


def span_words(ms: int) -> str:
    """The span in the largest unit that says it, rounded up: ``7d``."""
    for unit, unit_ms in _UNITS_MS.items():
        if ms % unit_ms == 0:
            return f"{ms // unit_ms}{unit}"
    return f"{-(-ms // 1_000)}s"
