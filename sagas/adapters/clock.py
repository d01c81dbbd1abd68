"""The real clock and real ids."""

from __future__ import annotations

import asyncio
import time
import uuid

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
    """Random ids, unique without coordination."""

    def new(self) -> str:
        """Thirty-two hex digits."""
        return uuid.uuid4().hex
