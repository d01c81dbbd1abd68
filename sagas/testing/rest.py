"""Whether everything is at rest, and moving time on when it is.

Owns the accounts' conclusion. Rest means: every record is delivered, every message that is begun
is asleep on the virtual clock, what is finished is committed, and no outbox holds anything. It is
never concluded from having waited for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from sagas.core.errors import RetriableError
from sagas.ports import BUCKETS, SagaTable
from sagas.runtime.timers import Timers
from sagas.testing.accounting import WatchedBroker
from sagas.testing.clock import Sleeper, VirtualClock
from sagas.testing.running import RunningService

__all__ = ["Rest"]

_EVER_MS = 2**53
_SPINS = 2_000
"""Turns of the loop before waiting for threads gives way to short real pauses."""
_IDLE_SKIPS_MAX = 2_000
"""Moves of time without a single message, after which somebody is retrying in vain."""


class Rest:
    """Brings the services to rest, at one moment of virtual time or over all of it."""

    def __init__(
        self,
        services: Mapping[str, RunningService],
        *,
        clock: VirtualClock,
        broker: WatchedBroker,
        table: SagaTable,
        timers: Timers,
        stuck_after_s: float,
    ) -> None:
        self._services = services
        self._clock = clock
        self._broker = broker
        self._table = table
        self._timers = timers
        self._stuck_after_s = stuck_after_s

    async def settle(self) -> None:
        """Return once nothing can happen any more at this moment of virtual time.

        Messages follow each other in turns of the event loop. Only a handler's own real waiting (a
        thread, a database) leaves the loop idle; then it is looked at again after a short real
        pause. Raises AssertionError with what is still running after ``stuck_after_s`` of real time
        without progress, and the error of a worker that has failed.
        """
        loop = asyncio.get_running_loop()
        seen, deadline, turns = -1, 0.0, 0
        while True:
            await asyncio.sleep(0 if turns < _SPINS else 0.001)
            for service in self._services.values():
                service.raise_failure()
            if next(self._busy(), None) is None and not await self._relay():
                return
            turns += 1
            if self._broker.activity != seen:
                seen, turns = self._broker.activity, 0
                deadline = loop.time() + self._stuck_after_s
            elif loop.time() > deadline:
                raise AssertionError(
                    f"No progress for {self._stuck_after_s} s of real time. Still running:\n"
                    + "\n".join(f"  {words}" for words in self._busy())
                )

    async def run_until(self, over: Callable[[], bool], *, timers: bool = False) -> None:
        """Settle and skip time, by turns, until it is ``over`` or nobody is asleep in a message.

        With ``timers`` time also moves to the sagas' timers: timeouts, waits, deadlines.

        Raises AssertionError where time moves on and on and no message comes of it.
        """
        idle = 0
        while True:
            before = self._broker.activity
            await self.settle()
            due_ms = await self._next_due_ms(timers=timers)
            if over() or due_ms is None:
                return
            idle = idle + 1 if self._broker.activity == before else 0
            if idle > _IDLE_SKIPS_MAX:
                raise AssertionError(
                    f"Time moves on (it is +{self._clock.elapsed}) and nothing comes of it:\n"
                    + "\n".join(f"  {words}" for words in self.asleep())
                )
            self._clock.advance_to(due_ms)

    async def advance(self, seconds: float) -> None:
        """Move time on by so much, stopping wherever a message wakes on the way."""
        until_ms = self._clock.now_ms() + round(seconds * 1000)
        await self.settle()
        while (due_ms := await self._next_due_ms(timers=True)) is not None and due_ms <= until_ms:
            self._clock.advance_to(due_ms)
            await self.settle()
        self._clock.advance_to(until_ms)
        await self.settle()

    def asleep(self) -> list[str]:
        """In words, the messages in whose middle somebody is asleep."""
        return [
            f"{service.about(sleeper.owner)} is asleep until "
            f"+{self._clock.since_start(sleeper.due_ms)}"
            for sleeper in self._foreground()
            for service in self._services.values()
            if sleeper.owner in service.begun()
        ]

    def _busy(self) -> Iterator[str]:
        asleep = {sleeper.owner for sleeper in self._clock.sleepers}
        for service in self._services.values():
            yield from service.busy(asleep)

    async def _relay(self) -> bool:
        """Whether the outboxes held anything, or a timer was due; it is published."""
        published = await self._timers.publish_due()
        for service in self._services.values():
            for outbox in service.outboxes:
                try:
                    published += await outbox.relay(self._broker.publish, records_max=1000)
                except RetriableError:
                    return True
        return published > 0

    async def _next_due_ms(self, *, timers: bool) -> int | None:
        due = [sleeper.due_ms for sleeper in self._foreground()]
        if timers:
            found = await self._table.due_timers(buckets=range(BUCKETS), now_ms=_EVER_MS, limit=1)
            due += [timer.due_ms for timer in found]
        return min(due, default=None)

    def _foreground(self) -> Iterator[Sleeper]:
        """Who sleeps in the middle of a message. The others poll: time is not moved for them."""
        begun = {task for service in self._services.values() for task in service.begun()}
        return (sleeper for sleeper in self._clock.sleepers if sleeper.owner in begun)
