"""What a service is to do for a step, performing or undoing it: the same for every message, found once.

Owns what of a call's preparation depends on the declaration only, and the keeping of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from pydantic import BaseModel

from sagas.core.decide import ActionResult, ResultKind
from sagas.core.definition import START, Direction, StepDefinition
from sagas.core.events import Event, is_read_plainly
from sagas.core.retry import Retry
from sagas.core.saga import Saga
from sagas.core.upcasting import Upcasting
from sagas.service import Service
from sagas.signatures import Handler

__all__ = ["Assignment", "Assignments"]


class Assignment(NamedTuple):
    """A step of a saga in one direction, with its handler.

    ``allowed`` are the event types that the handler may return; ``plain`` those of their classes whose JSON
    is written and read by pydantic alone; ``results`` what each means. ``alone`` is the one event that the
    handler needs, None where it may need others; ``takes_outcome`` says that it is given that of the forward
    action too. ``events`` and ``formers`` are those of the saga.
    """

    saga: str
    step: StepDefinition
    direction: Direction
    handler: Handler
    retry: Retry
    key_field: str
    events: Mapping[str, type[Event]]
    formers: Mapping[str, Upcasting]
    allowed: tuple[str, ...]
    plain: frozenset[type[Event]]
    results: Mapping[str, ActionResult]
    alone: str | None
    takes_outcome: bool

    @property
    def starts(self) -> bool:
        """Whether the step is the start of its saga."""
        return self.step.name == START

    @property
    def undoes(self) -> bool:
        """Whether the step is undone."""
        return self.direction is Direction.UNDO

    def result_of(self, type_: str) -> ActionResult:
        """An action has returned an event that is called so on the wire, as the journal tells."""
        return _result(self.formers, type_)


Named = tuple[type[Saga], str, Direction]
"""A saga, a step of it by its name, and whether that is performed or undone."""


class Assignments(dict[Named, Assignment]):
    """The assignments of one service that were asked for so far; any other is put together when it is.

    Raises KeyError where the service has no handler.
    """

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service

    def __missing__(self, named: Named) -> Assignment:
        saga, step, direction = named
        found = self[named] = _assignment(self._service, saga, step, direction)
        return found


def _assignment(service: Service, saga: type[Saga], name: str, direction: Direction) -> Assignment:
    definition = saga.definition
    step, undoes = definition.by_name[name], direction is Direction.UNDO
    handlers = service.undoers if undoes else service.performers
    allowed = _allowed(step, undoes=undoes)
    return Assignment(
        saga=definition.saga,
        step=step,
        direction=direction,
        handler=handlers[definition.saga, name],
        retry=saga.retries[name],
        key_field=definition.key,
        events=saga.events,
        formers=saga.formers,
        allowed=allowed,
        plain=frozenset(model for model in map(saga.events.get, allowed) if _is_plain(model)),
        results={type_: _result(saga.formers, type_) for type_ in allowed},
        alone=None if undoes or step.reads or len(step.triggers) != 1 else step.triggers[0],
        takes_outcome=undoes and name != START,
    )


def _allowed(step: StepDefinition, *, undoes: bool) -> tuple[str, ...]:
    if undoes:
        return (step.undone or "",)
    if step.otherwise is None:
        return step.done + step.refused
    return (*step.done, *step.refused, step.otherwise)


def _result(formers: Mapping[str, Upcasting], type_: str) -> ActionResult:
    way = formers.get(type_)
    if way is None:
        return ActionResult(ResultKind.RETURNED, type_)
    return ActionResult(ResultKind.RETURNED, way.current.event_type, written=type_)


_DUMPS = BaseModel.model_dump_json


def _is_plain(model: type[Event] | None) -> TypeGuard[type[Event]]:
    """Whether nobody has put something in the place of how pydantic writes and reads the JSON."""
    return model is not None and model.model_dump_json is _DUMPS and is_read_plainly(model)
