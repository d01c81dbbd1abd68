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
