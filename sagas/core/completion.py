"""An answer from outside to a step that waits: checked against the declaration, and not yet told.

Publishing it is the client's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from sagas.core.errors import ContractViolation
from sagas.core.events import Event
from sagas.core.saga import Saga
from sagas.core.starts import key_of_instance
from sagas.core.steps import Wait

__all__ = ["Completes", "Completion"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Completion:
    """``event`` completes, or refuses, the step that waits in one instance of ``saga``.

    Raises ContractViolation for an event that is no answer there, or that is another instance's.
    """

    saga: type[Saga]
    step: str
    saga_id: str
    event: Event

    def __post_init__(self) -> None:
        """Check the event against the declaration."""
        definition = self.saga.definition
        named = f"{self.saga.__name__}.{self.step}"
        step = definition.by_name.get(self.step)
        answers = (*step.done, *step.refused) if step is not None and step.waits else ()
        event: object = self.event
        type_ = event.event_type if isinstance(event, Event) else repr(event)
        if definition.current_of.get(type_, type_) not in answers:
            raise ContractViolation(
                f"{type_} does not complete {named}; expected {' or '.join(answers) or 'nothing'}."
            )
        key = str(getattr(self.event, definition.key))
        if key != key_of_instance(self.saga_id):
            raise ContractViolation(
                f"{type_} has {definition.key}={key!r}, but is to complete {named} of "
                f"{self.saga_id!r}; give both the same key."
            )


class Completes(Generic[Answer]):
    """What ``Service.completes`` returns: called with key and event, it makes the Completion."""

    def __init__(self, wait: Wait[Answer]) -> None:
        self._wait: Wait[Any] = wait

    def __call__(self, saga_id: str | int | UUID, event: Answer, /) -> Completion:
        """The answer, checked. Raises ContractViolation."""
        given: Any = event
        return Completion(self._wait.saga, self._wait.name, str(saga_id), given)
