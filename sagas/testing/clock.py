"""Virtual time: a clock that moves only when it is told to.

Owns the present moment and who is asleep. It must never move by itself: the environment decides
when, so that a pause of three hours costs nothing and a poller's pauses keep nothing going.
"""

from __future__ import annotations

import asyncio
import math
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["START_TIME", "NumberedIds", "Sleeper", "VirtualClock"]

START_TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""Where virtual time begins unless a test says otherwise."""

_OWNER: ContextVar[asyncio.Task[object] | None] = ContextVar("sleep_owner", default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Sleeper:
    """One call of ``sleep`` that is under way. ``owner`` is the task on whose behalf it sleeps."""

    due_ms: int
    owner: asyncio.Task[object] | None
    woken: asyncio.Future[None]


class VirtualClock:
    """A ``Clock`` for tests, used from one event loop."""

    def __init__(self, start: datetime = START_TIME) -> None:
        self._epoch_ms = self._now_ms = round(start.timestamp() * 1000)
        self._sleepers: list[Sleeper] = []

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return self._now_ms

    @property
    def now(self) -> datetime:
        """The present moment."""
        return datetime.fromtimestamp(self._now_ms / 1000, UTC)

    @property
    def elapsed(self) -> timedelta:
        """The virtual time that has passed since the clock was made."""
        return self.since_start(self._now_ms)

    @property
    def sleepers(self) -> tuple[Sleeper, ...]:
        """Who is asleep, in no order."""
        return tuple(self._sleepers)

    def since_start(self, moment_ms: int) -> timedelta:
        """How far a moment is from the clock's beginning."""
        return timedelta(milliseconds=moment_ms - self._epoch_ms)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved that far; let others run for nothing or less."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = Sleeper(
            due_ms=self._now_ms + max(1, math.ceil(seconds * 1000)),
            owner=_OWNER.get() or asyncio.current_task(),
            woken=asyncio.get_running_loop().create_future(),
        )
        self._sleepers.append(sleeper)
        try:
            await sleeper.woken
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def own_sleeps(self) -> None:
        """Count the sleeps of tasks that the current task starts from now on as its own."""
        _OWNER.set(asyncio.current_task())

    def advance_to(self, moment_ms: int) -> None:
        """Move to a moment and wake whoever is due by then, the earliest first. Never goes back."""
        self._now_ms = max(self._now_ms, moment_ms)
        due = [sleeper for sleeper in self._sleepers if sleeper.due_ms <= self._now_ms]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper not in due]
        for sleeper in sorted(due, key=lambda sleeper: sleeper.due_ms):
            if not sleeper.woken.done():
                sleeper.woken.set_result(None)


class NumberedIds:
    """Ids that are the same in every run."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        """The next one."""
        self._last += 1
        return f"{self._last:032x}"
