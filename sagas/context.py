"""What a handler gets besides its events: where it is, how often it was tried, and what it may use.

Owns the two contexts. They are values that the runtime fills; what a heartbeat does is the runtime's, by
way of ``Pulse``. Imports the logger's type only for type checkers, because the logging library takes
longer to import than all of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation
from sagas.core.events import Event

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = ["EventContext", "Pulse", "StepContext", "context_told_by"]

R = TypeVar("R")
E = TypeVar("E", bound=Event)


Tells = Callable[[str], object]
"""Who knows the value of each field of a context, by its name."""


class _Told:
    """Takes the value of a field from whoever tells it when it is read first, and keeps it.

    Most handlers read two fields of nineteen: to fill in all of them took 290 instructions a message.
    """

    __slots__ = ("_tells",)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            if name not in type(self).__dataclass_fields__:
                return object.__getattribute__(self, name)  # which raises the usual error
            value = object.__getattribute__(self, "_tells")(name)
            object.__setattr__(self, name, value)
            return value


@dataclass(frozen=True, slots=True, kw_only=True)
class EventContext(_Told):
    """Where an event belongs. ``status`` is the saga's, as the message's header has it.

    ``correlation_id`` is constant through a saga; ``causation_id`` names the message that caused
    this one. ``deadline_ms`` counts from the epoch, UTC.
    """

    saga: str
    saga_id: str
    tenant: str | None = None
    correlation_id: str
    causation_id: str | None = None
    deadline_ms: int | None = None
    traceparent: str | None = None
    status: str
    resources: Mapping[type, object] = field(default_factory=dict, repr=False)

    @property
    def logger(self) -> FilteringBoundLogger:
        """A logger whose lines say which message is in hand: saga, ids, and where it was read."""
        return _logger()

    @property
    def deadline(self) -> datetime | None:
        """Until when the saga has to have reached its pivot, in UTC; None where nothing bounds it."""
        return _moment(self.deadline_ms)

    def resource(self, type_: type[R]) -> R:
        """What the service's lifespan opened, by its type: exactly this one, or else a subclass of
        it.

        Raises ContractViolation if there is none.
        """
        exact = self.resources.get(type_)
        if isinstance(exact, type_):
            return exact
        for resource in self.resources.values():
            if isinstance(resource, type_):
                return resource
        known = ", ".join(sorted(there.__qualname__ for there in self.resources)) or "nothing"
        raise ContractViolation(
            f"No resource of type {type_.__qualname__} is open; the service's lifespan yields "
            f"{known}. Yield one there."
        )


class Pulse(Protocol):
    """What a heartbeat does, and how long the action may still take; moments count from the epoch."""

    deadline_ms: int | None
    """The saga's deadline where it bounds this action."""

    @property
    def timeout_at_ms(self) -> int | None:
        """When the step's time is up: heartbeats move it."""

    def now_ms(self) -> int:
        """The time."""

    async def beat(self) -> None:
        """Say that the handler is at work. Raises StepAbandoned."""

    def beat_soon(self) -> None:
        """The same, from any thread."""


class _NoPulse(Pulse):
    """Of a context that somebody made by hand, for a test of a handler alone."""

    timeout_at_ms = None
    deadline_ms = None

    def now_ms(self) -> int:
        return 0

    async def beat(self) -> None:
        pass

    def beat_soon(self) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext(EventContext):
    """One action of one step of one instance.

    At-least-once: the same action may run again after a crash or a redelivery, with the same
    ``idempotency_key``; give it to every outside call. ``attempt`` counts from 1. ``epoch`` grows
    only when a compensation is run once more on purpose. ``because`` is there for a compensation:
    the event that turned the saga back.
    """

    step: str
    direction: Direction
    attempt: int
    epoch: int
    idempotency_key: str
    because: Event | None = None
    events: Mapping[str, Event] = field(default_factory=dict, repr=False)
    pulse: Pulse = field(default_factory=_NoPulse, repr=False)

    @property
    def logger(self) -> FilteringBoundLogger:
        """As for an event, with the step."""
        return _logger(step=self.step)

    @property
    def timeout_at(self) -> datetime | None:
        """When the step's time is up, in UTC; None where it has no timeout, and for a compensation."""
        return _moment(self.pulse.timeout_at_ms)

    def time_left(self) -> timedelta | None:
        """How long the step may still take: to its timeout or, before the pivot, to the saga's deadline,
        whichever comes first. Never below zero; None where neither bounds it.
        """
        bounds = (self.pulse.timeout_at_ms, self.pulse.deadline_ms)
        ends_ms = [moment_ms for moment_ms in bounds if moment_ms is not None]
        if not ends_ms:
            return None
        return timedelta(milliseconds=max(0, min(ends_ms) - self.pulse.now_ms()))

    async def heartbeat(self) -> None:
        """Say that the handler is at work: the step's timeout runs anew from now.

        Call it as often as you like: the table is told once in a tenth of the timeout, ten seconds at
        most. Raises StepAbandoned once the saga waits for the action no longer; let that pass. A hint:
        what the table loses, and what does not reach it, counts as no heartbeat, and raises nothing.
        """
        await self.pulse.beat()

    def heartbeat_soon(self) -> None:
        """``heartbeat`` for plain functions, which run in a thread: returns at once.

        What the table is asked now is answered by a later call, so StepAbandoned comes one call late.
        """
        self.pulse.beat_soon()

    def read(self, event_type: type[E]) -> E:
        """The event that the step declares with ``reads=``; the checks prove that it is there.

        Raises ContractViolation for an event that the step does not declare.
        """
        event = self.events.get(event_type.event_type)
        if isinstance(event, event_type):
            return event
        known = ", ".join(sorted(self.events)) or "nothing"
        raise ContractViolation(
            f"{self.saga}.{self.step} reads {event_type.__qualname__} but declares no such thing; "
            f"it may read {known}. Add reads={event_type.__qualname__} to the step."
        )


_SLOTS: Any = StepContext
_put_tells: Callable[[StepContext, Tells], None] = _SLOTS._tells.__set__  # noqa: SLF001
_put_resources: Callable[[StepContext, Mapping[type, object]], None] = _SLOTS.resources.__set__
# Past the class, which is frozen, and without looking for the slot each time.


def context_told_by(tells: Tells, resources: Mapping[type, object]) -> StepContext:
    """A context like any other, whose fields but the resources are told when they are asked for.

    ``tells`` may be called from any thread, and must answer the same for as long as the context lives.
    """
    context = object.__new__(StepContext)
    _put_tells(context, tells)
    _put_resources(context, resources)
    return context


def _logger(**fields: str) -> FilteringBoundLogger:
    import structlog  # noqa: PLC0415 - see above

    logger: FilteringBoundLogger = structlog.get_logger(**fields)
    return logger


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
