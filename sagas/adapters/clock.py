"""The real clock and real ids."""

from __future__ import annotations

import asyncio
import random
import time

__all__ = ["RandomIds", "SystemClock"]


class SystemClock:
    """The machine's time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait for that long."""
        await asyncio.sleep(seconds)


class RandomIds:
    """Random ids, unique without coordination; no secrets. Each process makes one of its own.

    Seeded by the system once: every message takes an id, and asking the system each time costs tens of
    microseconds.
    """

    def __init__(self) -> None:
        self._draw = random.Random().getrandbits  # noqa: S311 - told apart, not guessed

    def new(self) -> str:
        """Thirty-two hex digits."""
        return f"{self._draw(128):032x}"
