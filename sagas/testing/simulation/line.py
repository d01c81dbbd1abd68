"""The line between one worker and the servers: every call may be slow, be lost, or be the last.

Owns what a call meets on its way, and the clock by which the worker lives. It knows no port: what it
carries is a name, the error that the port promises, and a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar
from typing import TypeVar

from sagas.core.errors import RetriableError
from sagas.testing.clock import START_TIME
from sagas.testing.simulation.faults import Chance
from sagas.testing.simulation.loop import Process, SeededLoop
from sagas.testing.simulation.world import SimulatedTable

__all__ = ["NOTHING_LOST", "Bell", "CrashAt", "Line", "MemberClock"]

T = TypeVar("T")

_EPOCH_MS = round(START_TIME.timestamp() * 1000)
_LOST = 0.03
_LATE = 0.01
_CRASH = 0.02
_LONG_S = (5.0, 40.0)


NOTHING_LOST: ContextVar[bool] = ContextVar("nothing lost", default=False)
"""Whether the one who looked at the markers has found all of them ready: it may sleep on."""


class CrashAt:
    """The one call, counted over all workers, at which the worker that makes it dies.

    ``after``: the call is executed, and nobody hears of it.
    """

    def __init__(self, number: int = 0, *, after: bool = False) -> None:
        self.number = number
        self.after = after
        self.calls = 0


class Bell:
    """Wakes whoever looks at the timers when there is something to see.

    A look that finds nothing changes nothing, so a worker that looked in vain sleeps until a timer is
    due: a wait of seven days costs no million looks.
    """

    def __init__(self, loop: SeededLoop, table: SimulatedTable) -> None:
        self._loop = loop
        self._table = table
        self._sleepers: dict[asyncio.Future[None], tuple[MemberClock, float, float]] = {}
        self._watchers: dict[asyncio.Future[None], tuple[float, float]] = {}
        table.timers_changed = self.ring
        table.lost = self._lost

    def ring(self) -> None:
        """A timer was set or moved, or a clock was: whoever sleeps looks whether it is time."""
        due_ms = self._table.earliest_due_ms() if self._sleepers else None
        if due_ms is None:
            return
        for woken, (clock, since_s, interval_s) in self._sleepers.items():
            after_s = max(0.0, clock.at_s(due_ms) - since_s)
            looks = max(1, -int(-after_s // interval_s))
            self._loop.call_at(since_s + looks * interval_s, _wake, woken)

    async def sleep(self, clock: MemberClock, interval_s: float) -> None:
        """Sleep for one interval, or for as many as there is nothing to see."""
        woken: asyncio.Future[None] = self._loop.create_future()
        self._sleepers[woken] = (clock, self._loop.time(), interval_s)
        self.ring()
        try:
            await woken
        finally:
            del self._sleepers[woken]

    async def watch(self, interval_s: float) -> None:
        """Sleep for one interval, or for as many as nothing is lost."""
        woken: asyncio.Future[None] = self._loop.create_future()
        self._watchers[woken] = (self._loop.time(), interval_s)
        try:
            await woken
        finally:
            del self._watchers[woken]

    def _lost(self) -> None:
        """The table has lost something: whoever watches it sees that at the next look."""
        for woken, (since_s, interval_s) in self._watchers.items():
            looks = int((self._loop.time() - since_s) // interval_s) + 1
            self._loop.call_at(since_s + looks * interval_s, _wake, woken, context=Context())


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


class MemberClock:
    """A worker's own clock, which may be wrong and jump; what it sleeps is right."""

    def __init__(self, loop: SeededLoop, bell: Bell) -> None:
        self.skew_ms = 0
        self.looked_in_vain: asyncio.Task[object] | None = None
        self._loop = loop
        self._bell = bell

    def now_ms(self) -> int:
        """Milliseconds since the epoch, as far as the worker knows."""
        return _EPOCH_MS + round(self._loop.time() * 1000) + self.skew_ms

    def at_s(self, moment_ms: int) -> float:
        """The loop's time at which this clock shows a moment."""
        return (moment_ms - _EPOCH_MS - self.skew_ms) / 1000

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        if NOTHING_LOST.get():
            await self._bell.watch(seconds)
            return
        task = asyncio.current_task()
        if task is not None and task is self.looked_in_vain:
            self.looked_in_vain = None
            await self._bell.sleep(self, seconds)
        else:
            await asyncio.sleep(seconds)


class Line:
    """One worker's way to the servers. ``crash`` kills the worker that makes the call, ``stand_still``
    holds it up until others own what was its own.
    """

    def __init__(
        self,
        process: Process,
        chance: Chance,
        crash_at: CrashAt,
        *,
        crash: Callable[[str], None],
        stand_still: Callable[[], None],
        note: Callable[[str, str], None],
    ) -> None:
        self.stand_still = stand_still
        self.process = process
        self.chance = chance
        self.note = note
        self._crash_at = crash_at
        self._crash = crash
        self._latency = chance.of("latency")
        self._left = chance.budgets

    def check(self) -> None:
        """Nobody hears a dead worker. Raises CancelledError."""
        if self.process.dead:
            raise asyncio.CancelledError

    async def call(
        self,
        name: str,
        error: type[RetriableError],
        call: Callable[[], Awaitable[T]],
        *,
        at_once: bool = False,
        risk: float = _CRASH,
    ) -> T:
        """Make the call, or lose it, or its answer, or the worker with it; ``at_once`` without delay.

        ``risk`` is the chance of a crash, while there is one left.
        """
        self.check()
        at, chance, left = self._crash_at, self.chance, self._left
        at.calls += 1
        last = at.calls == at.number
        crash_before = last and not at.after
        crash_after = last and at.after
        if left["crashes"] and chance.hits("crashes", risk):
            crash_after = chance.of("when").random() < 0.5  # noqa: PLR2004 - as often as not
            crash_before = not crash_after
        if not at_once:
            await self._delay()
            if self.process.dead:
                raise asyncio.CancelledError
        if crash_before:
            self._die(f"before it could {name}", as_asked=last)
        if left["lost"] and chance.hits("lost", _LOST):
            chance.seen[f"{name} lost"] += 1
            self.note("lost", f"{name} was never executed")
            raise error(f"{name}: no answer (it was not executed)")
        result = await call()
        if crash_after:
            self._die(f"right after {name}", as_asked=last)
        if left["unheard"] and chance.hits("unheard", _LOST):
            await self._delay()
            chance.seen[f"{name} unheard"] += 1
            self.note("lost", f"{name} was executed, the answer is lost")
            raise error(f"{name}: no answer (it was executed)")
        self.check()
        return result

    def _die(self, words: str, *, as_asked: bool) -> None:
        if as_asked:
            self.chance.seen["crashes"] += 1
        self._crash(words)
        raise asyncio.CancelledError

    async def _delay(self) -> None:
        """A call takes its time: mostly next to none, sometimes a while, rarely far too long."""
        if self._left["delays"] and self.chance.hits("delays", _LATE):
            await asyncio.sleep(self._latency.uniform(*_LONG_S))
            return
        slow = self._latency.random()
        await asyncio.sleep(slow * 0.004 if slow < 0.95 else slow * 0.3)  # noqa: PLR2004
