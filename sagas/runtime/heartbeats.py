"""Heartbeats: a handler says that it is at work, and learns whether its work is still wanted.

Owns how often that is told to the table. A heartbeat is a hint: it moves the step's timer and leaves a
note for whoever handles a timer that was due already. Lost with the table, the step times out as if there
had been none.
"""

from __future__ import annotations

import asyncio

import structlog

from sagas.context import Pulse
from sagas.core.definition import Direction
from sagas.core.enabled import Action, wanted
from sagas.core.errors import StepAbandoned
from sagas.core.position import Position
from sagas.ports import Clock, SagaTable, TableUnavailable, Timer
from sagas.wire.stored import decode_instance

__all__ = ["Heartbeats"]

_log = structlog.get_logger()

_SHARE = 10
"""A heartbeat is told after a tenth of the step's timeout; those in between cost nothing."""
_EVERY_MS = 10_000
"""How often at most and at least: a timeout of a day does not mean to work on for hours in vain."""


class Heartbeats(Pulse):
    """The pulse of one action, over its attempts. Used from ``loop``, and from threads.

    ``at_once`` is the undo of a late success: it is wanted whatever the saga waits for (rule 11).
    """

    def __init__(
        self,
        action: Action,
        at: Position,
        *,
        deadline_ms: int | None,
        table: SagaTable,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        at_once: bool = False,
    ) -> None:
        self._action = action
        self._at_once = at_once
        self._position = at
        self._timeout_at_ms: int | None = None
        self.deadline_ms = deadline_ms
        self._table = table
        self._clock = clock
        self._loop = loop
        self._told_ms = 0
        self._abandoned = False
        self._telling: set[asyncio.Task[None]] | None = None

    @property
    def _timeout_ms(self) -> int | None:
        forward = self._action.direction is Direction.FORWARD
        return self._action.step.timeout_ms if forward else None

    @property
    def timeout_at_ms(self) -> int | None:
        """When the step's time is up. Most handlers never ask."""
        if self._timeout_at_ms is None and self._timeout_ms is not None:
            self._timeout_at_ms = self._position.timers().get(self._action.step.name)
        return self._timeout_at_ms

    def now_ms(self) -> int:
        """The clock's time."""
        return self._clock.now_ms()

    async def beat(self) -> None:
        """Tell the table, if it is time to, and see whether the work is wanted."""
        if self._is_time():
            await self._tell()
        self._look()

    def beat_soon(self) -> None:
        """Have the table told from the event loop; what that finds is raised by a later call."""
        self._look()
        if self._is_time():
            self._loop.call_soon_threadsafe(self._tell_soon)

    def _is_time(self) -> bool:
        now_ms = self._clock.now_ms()
        every_ms = min((self._timeout_ms or _EVERY_MS * _SHARE) // _SHARE, _EVERY_MS)
        if now_ms - self._told_ms < every_ms:
            return False
        self._told_ms = now_ms
        return True

    def _tell_soon(self) -> None:
        task = self._loop.create_task(self._tell())
        if self._telling is None:
            self._telling = set()
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        if self._at_once:
            return
        step, at = self._action.step, self._position
        saga, saga_id = at.definition.saga, at.saga_id
        now_ms = self._clock.now_ms()
        try:
            row = await self._table.load(saga, saga_id)
            if row is None:
                return  # lost: whoever rebuilds it knows nothing of heartbeats
            self._abandoned = not wanted(
                decode_instance(at.definition, saga_id, row.state), self._action
            )
            if self._abandoned or self._timeout_ms is None:
                return
            due_ms = now_ms + self._timeout_ms
            await asyncio.gather(
                self._table.annotate(saga, saga_id, step.name, str(now_ms)),
                self._table.postpone_timer(Timer(saga, saga_id, step.name, 0), due_ms),
            )
            self._timeout_at_ms = due_ms
        except TableUnavailable as error:
            _log.warning("note.lost", note=step.name, error=str(error))

    def _look(self) -> None:
        if self._abandoned:
            at, action = self._position, self._action
            raise StepAbandoned(
                f"{at.definition.saga} {at.saga_id!r} waits for the {action.direction} action of "
                f"{action.step.name} no longer: it has turned back, gone on, or ended. Leave off."
            )
