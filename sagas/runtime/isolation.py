"""So that one slow step, or one tenant, does not starve the others: bounds on how many handlers run at once.

Owns who runs and who waits. A handler runs when both its step and its tenant have room; nobody holds one
while waiting for the other. Of those who wait for a step the tenants take turns, and of those who wait for
a tenant the steps. Where too many wait, the message goes to a retry topic and its place here is free for
others: waiting takes memory, and room in the partition.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sagas.core.concurrency import Adaptive, Concurrency, Window, after_call, bounds_of, opened
from sagas.core.definition import Direction
from sagas.ports import Clock
from sagas.service import Service

__all__ = ["Isolation", "IsolationSettings", "Lane", "isolation_of"]

_Waiting = asyncio.Future[None]
_Task = asyncio.Task[object] | None
Place = tuple[str, str, Direction]
"""A saga, a step, and whether it is performed or undone."""
_UNBOUND = 1 << 30
_NOBODY: deque[_Waiting] = deque()


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationSettings:
    """The bounds of a worker where its services say nothing else; None for no bound.

    ``step`` calls of one handler run at once, ``tenant`` calls for one tenant. About ``waiting_max`` messages
    wait here for one handler; others wait elsewhere, for ``elsewhere_s`` seconds at least.
    """

    step: Concurrency | None = None
    tenant: int | None = None
    waiting_max: int = 100
    elsewhere_s: float = 10.0


@dataclass(slots=True, eq=False)
class Lane:
    """The calls of one handler: how many run, and who waits, by tenant in turns."""

    bounds: Adaptive
    window: Window
    running: int = 0
    waiting: int = 0
    queues: dict[str, deque[_Waiting]] = field(default_factory=dict)

    @property
    def limit(self) -> int:
        """How many may run now."""
        return int(self.window.limit)


class Isolation:
    """The bounds of one worker. To be used from one event loop."""

    def __init__(
        self,
        declared: Mapping[Place, Concurrency],
        settings: IsolationSettings,
        *,
        tenant_max: int | None,
        clock: Clock,
    ) -> None:
        self._declared = declared
        self._settings = settings
        self._tenant_max = tenant_max
        self._clock = clock
        self._tenants: dict[str, int] = {}
        self._turns: dict[str, dict[Lane, None]] = {}
        """By tenant, where one of its calls waits; whose turn it is comes first."""
        self._inside: dict[_Task, tuple[Lane, str]] = {}
        self._outside: dict[_Task, tuple[Lane, str]] = {}
        self.lanes: dict[Place, Lane] = {}
        self.elsewhere_s = settings.elsewhere_s

    def is_crowded(self, place: Place, tenant: str | None) -> bool:
        """Whether there is no room, and this tenant's share of those who wait for it is taken."""
        lane, who = self._lane(place), tenant or ""
        if lane.waiting < self._settings.waiting_max:
            return False
        if not lane.queues and self._has_room(lane, who):
            return False
        own = len(lane.queues.get(who, ()))
        return own >= self._settings.waiting_max // max(1, len(lane.queues))

    def waits_for(self, task: asyncio.Task[None]) -> asyncio.Task[object] | None:
        """One of the tasks without whose end this one does not go on; None if it waits for nobody here.

        For those who watch a worker.
        """
        lane, who = self._outside.get(task, (None, ""))
        if lane is None:
            return None
        full = lane.running >= lane.limit
        return next(
            (
                other
                for other, (its, tenant) in self._inside.items()
                if (its is lane if full else tenant == who)
            ),
            None,
        )

    @asynccontextmanager
    async def entered(self, place: Place, tenant: str | None) -> AsyncIterator[None]:
        """Wait until the step and the tenant have room, and take it while inside.

        A handler that raises counts as a failure of what it calls.
        """
        lane, who = self._lane(place), tenant or ""
        if lane.queues or not self._has_room(lane, who):
            await self._wait(lane, who)
        else:
            self._take(lane, who)
        began_ms, at_once, failed = self._clock.now_ms(), lane.running, True
        task = asyncio.current_task()
        self._inside[task] = lane, who
        try:
            yield
            failed = False
        except asyncio.CancelledError:
            failed = False
            raise
        finally:
            self._inside.pop(task, None)
            took_ms = self._clock.now_ms() - began_ms
            lane.window = after_call(
                lane.bounds, lane.window, took_ms=took_ms, at_once=at_once, failed=failed
            )
            self._give_back(lane, who)

    async def _wait(self, lane: Lane, who: str) -> None:
        waiting: _Waiting = asyncio.get_running_loop().create_future()
        lane.queues.setdefault(who, deque()).append(waiting)
        lane.waiting += 1
        self._turns.setdefault(who, {})[lane] = None
        self._admit(lane)  # another tenant may hold up the first in line only
        task = asyncio.current_task()
        self._outside[task] = lane, who
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._give_back(lane, who)
            else:
                self._forget(lane, who, waiting)
            raise
        finally:
            self._outside.pop(task, None)

    def _admit(self, lane: Lane) -> None:
        """Let in whom there is room for; the tenants take turns."""
        passed_over = 0
        while lane.running < lane.limit and passed_over < len(lane.queues):
            who, queue = next(iter(lane.queues.items()))
            del lane.queues[who]
            if self._tenant_has_room(who):
                waiting = queue.popleft()
                lane.waiting -= 1
                if not waiting.cancelled():
                    self._take(lane, who)
                    self._turns[who][lane] = self._turns[who].pop(lane)
                    waiting.set_result(None)
                passed_over = 0
            else:
                passed_over += 1
            if queue:
                lane.queues[who] = queue
            else:
                self._waits_no_more(lane, who)

    def _waits_no_more(self, lane: Lane, who: str) -> None:
        turns = self._turns[who]
        del turns[lane]
        if not turns:
            del self._turns[who]

    def _forget(self, lane: Lane, who: str, waiting: _Waiting) -> None:
        """It gave up before its turn came, and may have been passed over since."""
        queue = lane.queues.get(who, _NOBODY)
        if waiting not in queue:
            return
        queue.remove(waiting)
        lane.waiting -= 1
        if not queue:
            del lane.queues[who]
            self._waits_no_more(lane, who)

    def _take(self, lane: Lane, who: str) -> None:
        lane.running += 1
        if who and self._tenant_max is not None:
            self._tenants[who] = self._tenants.get(who, 0) + 1

    def _give_back(self, lane: Lane, who: str) -> None:
        lane.running -= 1
        if not who or self._tenant_max is None:
            self._admit(lane)
            return
        left = self._tenants[who] - 1
        if left:
            self._tenants[who] = left
        else:
            del self._tenants[who]
        for other in (*self._turns.get(who, ()), lane):
            self._admit(other)

    def _has_room(self, lane: Lane, who: str) -> bool:
        return lane.running < lane.limit and self._tenant_has_room(who)

    def _tenant_has_room(self, who: str) -> bool:
        if not who or self._tenant_max is None:
            return True
        return self._tenants.get(who, 0) < self._tenant_max

    def _lane(self, place: Place) -> Lane:
        lane = self.lanes.get(place)
        if lane is None:
            said = self._declared.get(place, self._settings.step)
            bounds = bounds_of(_UNBOUND if said is None else said)
            window = Window(float(_UNBOUND)) if said is None else _first(said, bounds)
            lane = self.lanes[place] = Lane(bounds, window)
        return lane


def _first(said: Concurrency, bounds: Adaptive) -> Window:
    return Window(float(said)) if isinstance(said, int) else opened(bounds)


def isolation_of(
    service: Service, settings: IsolationSettings, *, clock: Clock
) -> Isolation | None:
    """The bounds that hold for the service; None, which costs nothing, where nobody has said any."""
    tenant_max = service.tenant_concurrency or settings.tenant
    if not service.concurrency and settings.step is None and tenant_max is None:
        return None
    return Isolation(service.concurrency, settings, tenant_max=tenant_max, clock=clock)
