"""One call of a handler: what it is called with, what its context tells, and whether it may still begin.

Owns where each field of a ``StepContext`` comes from. Nothing is put together before a handler asks for it.
"""

from __future__ import annotations

from asyncio import Task, get_running_loop
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sagas.context import Pulse
from sagas.core.definition import Direction
from sagas.core.enabled import Action
from sagas.core.events import Event
from sagas.core.position import Position
from sagas.ports.telemetry import Watch
from sagas.runtime.assignments import Assignment
from sagas.runtime.heartbeats import Heartbeats
from sagas.runtime.retention import journal_since_ms
from sagas.wire.envelope import Trail
from sagas.wire.ids import idempotency_key
from sagas.wire.trace import child_of

if TYPE_CHECKING:
    from sagas.runtime.attempts import Attempts
    from sagas.runtime.incoming import Incoming
    from sagas.runtime.participant import Participant

__all__ = ["Call", "Given", "Tried", "bound_ms"]


class Given(NamedTuple):
    """The events of an action: its triggers; its recorded outcome, for an undo; and, by slot, all that its
    context may tell.
    """

    triggers: tuple[Event, ...]
    outcome: Event | None = None
    events: Mapping[str, Event] = MappingProxyType({})


class Tried(Protocol):
    """Who knows of the attempts at what a message enables; most end at their first."""

    @property
    def attempts(self) -> Attempts:
        """Made when somebody asks."""


class Call(NamedTuple):
    """An action with everything its handler gets.

    ``made`` attempts have failed before; after ``until_ms`` none is begun. ``tried`` is None where the action
    is done at once and never postponed: the undo of a late success. ``task`` performs it. ``kept`` holds what
    was put together once for all attempts.
    """

    assignment: Assignment
    action: Action
    at: Position
    given: Given
    made: int
    until_ms: int | None
    trail: Trail
    incoming: Incoming
    participant: Participant
    tried: Tried | None
    task: Task[object] | None
    kept: dict[str, Pulse]
    watch: Watch | None = None

    def has_expired(self) -> bool:
        """Whether it is too late to begin: asked before each attempt."""
        return self.until_ms is not None and self.participant.clock.now_ms() > self.until_ms

    async def postpone(self, number: int, error: str, pause_s: float) -> bool:
        """That attempt has failed, and after the pause there is to be another: whether somebody else
        brings it.
        """
        if self.tried is None:
            return False  # the outcome that is undone is in this process only
        return await self.tried.attempts.failed(self.action, self.at, number, error, pause_s)

    def journal_since_ms(self) -> int:
        """What the journal holds from before is of an earlier saga."""
        return journal_since_ms(self.at.times, keep_ended_ms=self.participant.keep_ended_ms)

    def told(self, field: str) -> object:
        """What the handler's context says in a field."""
        return _TOLD[field](self)


def bound_ms(action: Action, at: Position) -> int | None:
    """The saga's deadline, where it bounds the action: on the way to the pivot."""
    if at.place.past_pivot or action.direction is Direction.UNDO:
        return None
    return at.deadline_ms


def _key(call: Call) -> str:
    at, action = call.at, call.action
    return idempotency_key(
        at.definition.saga, at.saga_id, action.step.name, action.direction, action.epoch
    )


def _traceparent(call: Call) -> str | None:
    """Its own span where there is one; else what it belongs to."""
    within = call.trail.traceparent
    return within if call.participant.telemetry is None else child_of(within, _key(call))


def _because(call: Call) -> Event | None:
    at = call.at
    if at.place.model.turned_by is None:
        return None
    return call.given.events.get(at.instance.turned_by or "")


def _pulse(call: Call) -> Pulse:
    """One for all attempts; whichever thread asks first."""
    kept = call.kept.get("pulse")
    if kept is not None:
        return kept
    participant = call.participant
    made = Heartbeats(
        call.action,
        call.at,
        deadline_ms=call.until_ms,
        table=participant.table,
        clock=participant.clock,
        loop=get_running_loop() if call.task is None else call.task.get_loop(),
        at_once=call.tried is None,
    )
    return call.kept.setdefault("pulse", made)


_TOLD: Mapping[str, Callable[[Call], object]] = MappingProxyType(
    {
        "saga": lambda call: call.at.definition.saga,
        "saga_id": lambda call: call.at.saga_id,
        "tenant": lambda call: call.trail.tenant,
        "correlation_id": lambda call: call.trail.correlation_id or call.at.saga_id,
        "causation_id": lambda call: call.incoming.envelope.id,
        "deadline_ms": lambda call: call.at.deadline_ms,
        "traceparent": _traceparent,
        "status": lambda call: str(call.at.status),
        "step": lambda call: call.action.step.name,
        "direction": lambda call: call.action.direction,
        "attempt": lambda call: call.made + 1,
        "epoch": lambda call: call.action.epoch,
        "idempotency_key": _key,
        "because": _because,
        "events": lambda call: {
            type_: call.given.events[type_]
            for type_ in call.action.step.reads
            if type_ in call.given.events
        },
        "pulse": _pulse,
    }
)
