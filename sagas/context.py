"""What a handler gets besides its events: where it is, how often it was tried, and what it may use.

Owns the two contexts. They are values that the runtime fills; nothing here does I/O. Imports the
logger's type only for type checkers, because the logging library takes longer to import than all of
this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation
from sagas.core.events import Event

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = ["EventContext", "StepContext"]

R = TypeVar("R")
E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventContext:
    """Where an event belongs. ``status`` is the saga's, as the message's header has it.

    ``correlation_id`` is constant through a saga; ``causation_id`` names the message that caused
    this one. ``deadline_ms`` counts from the epoch, UTC. ``logger`` is bound to all of them.
    """

    saga: str
    saga_id: str
    tenant: str | None = None
    correlation_id: str
    causation_id: str | None = None
    deadline_ms: int | None = None
    traceparent: str | None = None
    status: str
    logger: FilteringBoundLogger
    resources: Mapping[type, object] = field(default_factory=dict, repr=False)

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
