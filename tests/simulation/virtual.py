"""A real asyncio loop in virtual time: when everybody waits, the clock jumps to the next timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["Clock", "Deadlock", "run"]

T = TypeVar("T")


class Deadlock(AssertionError):
    """Nobody can go on, and no time that passes will change that."""


class _VirtualLoop(asyncio.SelectorEventLoop):
    """Skips instead of sleeping. Threads and sockets are not waited for: there must be none."""

    def __init__(self) -> None:
        self._skipped_s = 0.0
        super().__init__()
        self._look: Callable[[float], Any] = self._selector.select  # type: ignore[attr-defined]
        self._selector.select = self._skip  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._skipped_s

    def _skip(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise Deadlock("everybody waits, and nobody for a time")
        events = self._look(0)
        if not events and timeout > 0:
            self._skipped_s += timeout
        return events


class Clock:
    """The loop's virtual time as the framework's ``Clock``."""

    def now_ms(self) -> int:
        """Milliseconds since the loop began, from 2001 on."""
        return 1_000_000_000_000 + round(asyncio.get_running_loop().time() * 1000)

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in a virtual loop of its own."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)
