"""A saga as it is declared: a class whose body is the choreography.

Owns the way from the declaration to the definition: collecting, checking what only Python knows
(classes, fields, names), compiling, and raising everything that is wrong at once. Keeps no list of
sagas, and never looks at handlers.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from sagas.core.class_body import (
    problems_of_cancelled_by,
    problems_of_formers,
    problems_of_marks,
    problems_of_retired,
    problems_of_reuse,
    problems_of_times,
)
from sagas.core.data import problems_of_data
from sagas.core.definition import (
    START,
    Definition,
    Join,
    StepDefinition,
    StepKind,
    UndoPolicy,
)
from sagas.core.durations import NEVER, NoTimeout, Timeout, milliseconds_of
from sagas.core.errors import DefinitionError
from sagas.core.events import FRAMEWORK_PUBLISHER, Event, is_abstract
from sagas.core.framework_events import FRAMEWORK_EVENTS
from sagas.core.keys import problems_of_keys
from sagas.core.problems import coded
from sagas.core.retry import Retry
from sagas.core.starts import Reuse
from sagas.core.steps import NothingToUndo, Start, Step, Wait
from sagas.core.upcasting import Upcasting, upcastings
from sagas.core.validation import problems_of

__all__ = ["EndOf", "Saga", "SagaEnded", "declared_steps", "kebab_case"]

_AnyStart = Start[Any, Any]
_AnyStep = Step[Any, Any, Any, Any, Any] | Wait[Any]


@dataclass(frozen=True, slots=True)
class SagaEnded:
    """A saga instance has reached a terminal status; what an observer of ends gets."""

    saga: str
    saga_id: str
    status: str


@dataclass(frozen=True, slots=True)
class EndOf:
    """The marker ``OrderFulfilment.ended``: given to ``observes``, it asks for ``SagaEnded``."""

    saga: type[Saga]


class _Named(type):
    """Says which attribute of a saga was probably meant. Type checkers know better, and see nothing."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> object:
            steps = [
                key for key, value in vars(cls).items() if isinstance(value, Start | Step | Wait)
            ]
            near = difflib.get_close_matches(name, [*steps, "ended"], n=1)
            mend = (
                f"did you mean {near[0]}?" if near else f"it has {', '.join(steps) or 'no steps'}."
            )
            raise AttributeError(f"The saga {cls.__name__} has no {name!r}; {mend}")


class Saga(metaclass=_Named):
    """The base of every saga: its subclass's body declares start and steps, and is checked at once.

    ``key`` is the field that holds the business key in each of its events; ``name`` defaults to the
    class's name in lower case with hyphens. ``deadline`` bounds the way to the pivot;
    ``step_timeout`` is for steps, not waits, that say nothing. ``cancelled_by`` is an event, of whichever
    service, that turns the saga back while its pivot is not triggered. ``reuse`` says what becomes of
    another start whose key was used before; like ``retries``, which says for each step how its handlers
    are tried, it is no part of the definition. Nor are ``ends_with``, the events that nothing follows, and
    ``for_outsiders``, those that others than this project's services wait for: they are for ``sagas check``.
    Raises one DefinitionError that lists all problems.
    """

    name: ClassVar[str]
    key: ClassVar[str]
    deadline: ClassVar[timedelta | None] = None
    step_timeout: ClassVar[Timeout] = NEVER
    cancelled_by: ClassVar[type[Event] | None] = None
    reuse: ClassVar[Reuse] = Reuse.NEVER
    ends_with: ClassVar[type[Event] | tuple[type[Event], ...]] = ()
    for_outsiders: ClassVar[type[Event] | tuple[type[Event], ...]] = ()
    retired: ClassVar[tuple[str, ...]] = ()
    retries: ClassVar[Mapping[str, Retry]]
    definition: ClassVar[Definition]
    events: ClassVar[Mapping[str, type[Event]]]
    formers: ClassVar[Mapping[str, Upcasting]]
    ended: ClassVar[EndOf]

    def __init_subclass__(cls) -> None:
        """Compile and check the declaration."""
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = kebab_case(cls.__name__)
        found = list(coded("S0", _problems_of_declaration(cls)))
        if not found:
            cls.definition = _compile(cls)
            found = [*problems_of(cls.definition), *coded("S2", _unsaid_undone(cls))]
        if found:
            steps = declared_steps(cls)
            found = [
                replace(one, place=steps[one.name].place) if one.name in steps else one
                for one in found
            ]
            listed = "\n".join(f"- {problem}" for problem in found)
            raise DefinitionError(f"The saga {cls.__qualname__} can not run:\n{listed}", found)
        cls.events = MappingProxyType({type_.event_type: type_ for type_ in _events_of(cls)})
        cls.formers = MappingProxyType(upcastings(cls.events.values()))
        cls.retries = MappingProxyType(
            {step.name: step.retry or Retry() for step in (*_starts_of(cls), *_steps_of(cls))}
        )
        cls.ended = EndOf(cls)


def kebab_case(name: str) -> str:
    """The name of a saga whose class is called so: ``OrderFulfilment`` is ``order-fulfilment``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _starts_of(saga: type[Saga]) -> list[_AnyStart]:
    return [value for value in vars(saga).values() if isinstance(value, Start)]


def _steps_of(saga: type[Saga]) -> list[_AnyStep]:
    return [value for value in vars(saga).values() if isinstance(value, Step | Wait)]


def declared_steps(saga: type[Saga]) -> Mapping[str, _AnyStart | _AnyStep]:
    """The start, the steps and the waits as they were written, by name, the start first."""
    return {step.name: step for step in (*_starts_of(saga), *_steps_of(saga))}


def _events_of(saga: type[Saga]) -> Iterator[type[Event]]:
    yield from FRAMEWORK_EVENTS
    if saga.cancelled_by is not None:
        yield saga.cancelled_by
    for start in _starts_of(saga):
        yield from _outcomes(start)
    for step in _steps_of(saga):
        yield from _outcomes(step)


def _outcomes(step: _AnyStart | _AnyStep) -> Iterator[type[Event]]:
    yield from step.done
    yield from step.refused
    if step.otherwise is not None:
        yield step.otherwise
    if step.undone is not None:
        yield step.undone


# --- what only Python knows -----------------------------------------------------------------------


def _problems_of_declaration(saga: type[Saga]) -> Iterator[str]:
    found = [
        *_problems_of_class(saga),
        *(problem for start in _starts_of(saga) for problem in _problems_of_start(start)),
        *(problem for step in _steps_of(saga) for problem in _problems_of_step(step)),
        *_problems_of_unnamed(saga),
    ]
    yield from found
    if not found:
        yield from _problems_of_events(saga)


def _problems_of_class(saga: type[Saga]) -> Iterator[str]:
    where = saga.__qualname__
    if any(base is not Saga and issubclass(base, Saga) for base in saga.__bases__):
        yield (
            f"{where}: derived from another saga; a saga is declared in one piece: derive from "
            "Saga."
        )
    if not isinstance(getattr(saga, "key", None), str) or not saga.key.isidentifier():
        yield f'{where}: no key; write key = "order_id", the field that holds the business key.'
    yield from problems_of_times(where, saga.deadline, saga.step_timeout)
    yield from problems_of_reuse(where, saga.reuse)
    yield from problems_of_cancelled_by(where, saga.cancelled_by)
    starts = _starts_of(saga)
    if not starts:
        yield f"{where}: no start; declare start = Start(...) with the event that begins the saga."
    if len(starts) > 1:
        names = ", ".join(start.name for start in starts)
        yield (
            f"{where}: {len(starts)} starts ({names}); a saga begins in one way. Keep one of them."
        )
    for declared in (*starts, *_steps_of(saga)):
        if len(set(declared.names)) > 1:
            yield (
                f"{where}: one declaration has several names ({', '.join(declared.names)}); "
                f"write a Step for each."
            )


def _problems_of_start(start: _AnyStart) -> Iterator[str]:
    if start.name != START:
        yield f"{start!r}: the start is called {start.name!r}; call it {START!r}."
    yield from _problems_of_type(start, "its event", start.done[0])
    if not start.says_undone:
        yield f"{start!r}: nothing said of its undo; name its event with undone=, or say NOTHING."
    if start.undone is not None:
        yield from _problems_of_type(start, "undone=", start.undone)
    yield from _problems_of_policy(start)


def _problems_of_step(step: _AnyStep) -> Iterator[str]:
    if step.name == START:
        yield f"{step!r}: {START!r} is the name of the start; give the step another name."
    for word, types in (
        ("on=", step.triggers),
        ("done=", step.done),
        ("refused=", step.refused),
        ("otherwise=", () if step.otherwise is None else (step.otherwise,)),
        ("undone=", () if step.undone is None else (step.undone,)),
        ("reads=", step.reads),
    ):
        for type_ in types:
            yield from _problems_of_type(step, word, type_)
    timeout: object = step.timeout
    if not isinstance(timeout, timedelta | NoTimeout | None):
        yield f"{step!r}: timeout= is {timeout!r}; expected a timedelta such as seconds(30), or NEVER."
    retry: object = step.retry
    if not isinstance(retry, Retry | None):
        yield f"{step!r}: retry= is {retry!r}; expected Retry(...), such as Retry(attempts=5)."
    yield from _problems_of_policy(step)


def _problems_of_policy(step: _AnyStart | _AnyStep) -> Iterator[str]:
    yield from problems_of_data(repr(step), step.data)
    policy: object = step.if_undo_fails
    if not isinstance(policy, UndoPolicy):
        yield (
            f"{step!r}: if_undo_fails= is {policy!r}; expected BLOCK, CONTINUE or ESCALATE, imported "
            "from sagas."
        )
    elif policy is not UndoPolicy.BLOCK and step.undone is None:
        yield f"{step!r}: if_undo_fails= is said of a step that is never undone; leave it out."


def _problems_of_type(step: _AnyStart | _AnyStep, word: str, type_: object) -> Iterator[str]:
    if not _is_event(type_):
        fits = {
            "on=": "an event type, AllOf(...) or AnyOf(...)",
            "done=": "an event type or OneOf(...)",
            "refused=": "an event type or OneOf(...)",
            "undone=": "an event type or NOTHING",
            "reads=": "an event type or a tuple of them",
        }.get(word, "an event type")
        shown = "NOTHING" if isinstance(type_, NothingToUndo) else repr(type_)
        yield f"{step!r}: {word} is {shown}; expected {fits}."


def _problems_of_unnamed(saga: type[Saga]) -> Iterator[str]:
    """Events without ``type=``: each once, named after the service that emits it."""
    declared = (*_starts_of(saga), *_steps_of(saga))
    emitted = [(step, step.service, type_) for step in declared for type_ in _outcomes(step)]
    used = [
        (step, "publisher", type_) for step in declared for type_ in (*step.triggers, *step.reads)
    ]
    said: set[object] = set()
    for step, publisher, type_ in (*emitted, *used):
        if _is_event(type_) and type_ not in said and is_abstract(type_):
            said.add(type_)
            yield (
                f"{step!r}: it names {type_.__qualname__}, which has no name on the wire; give it one "
                f'on its class line, such as type="{publisher}.{type_.__name__}.v1", or use a '
                "subclass."
            )


def _is_event(type_: object) -> bool:
    return isinstance(type_, type) and issubclass(type_, Event)


def _problems_of_events(saga: type[Saga]) -> Iterator[str]:
    by_name: dict[str, type[Event]] = {}
    for type_ in _events_of(saga):
        other = by_name.setdefault(type_.event_type, type_)
        if other is not type_:
            yield (
                f"{saga.__qualname__}: {other.__qualname__} and {type_.__qualname__} are both "
                f"called {type_.event_type} on the wire; give each event its own name."
            )
    yield from problems_of_formers(saga.__qualname__, by_name)
    yield from problems_of_retired(saga.__qualname__, saga.retired, by_name)
    own = [type_ for type_ in by_name.values() if type_ not in FRAMEWORK_EVENTS]
    yield from problems_of_keys(saga.__qualname__, saga.key, own)
    outcomes = {type_ for step in declared_steps(saga).values() for type_ in _outcomes(step)}
    yield from problems_of_marks(saga.__qualname__, "ends_with", saga.ends_with, outcomes)
    yield from problems_of_marks(saga.__qualname__, "for_outsiders", saga.for_outsiders, outcomes)
    for start in _starts_of(saga):
        yield from _problems_of_publisher(start)
    for step in _steps_of(saga):
        yield from _problems_of_publisher(step)
        yield from _problems_of_otherwise(saga, step)


def _problems_of_publisher(step: _AnyStart | _AnyStep) -> Iterator[str]:
    """An observer finds an event's topic by the publisher in its name: it must be who emits it."""
    yield from (
        f"{step!r}: its outcome {type_.event_type} is named as published by {type_.publisher()!r}, "
        f"but emitted by {step.service!r}, on its topic. Name it after the service, or change by=."
        for type_ in _outcomes(step)
        if type_.publisher() not in {step.service, FRAMEWORK_PUBLISHER}
    )


def _problems_of_otherwise(saga: type[Saga], step: _AnyStep) -> Iterator[str]:
    """A timer creates this event, and a timer knows nothing but the key."""
    fields = {} if step.otherwise is None else step.otherwise.model_fields
    needed = [name for name, field in fields.items() if name != saga.key and field.is_required()]
    if step.otherwise is not None and needed:
        yield (
            f"{step!r}: when its time is up, {step.otherwise.__qualname__} is made of the key alone, "
            f"but needs {', '.join(needed)}; give every field but {saga.key} a default."
        )


# --- from the declaration to the data -------------------------------------------------------------


def _compile(saga: type[Saga]) -> Definition:
    (start,) = _starts_of(saga)
    first = StepDefinition(
        name=START,
        service=start.service,
        done=_wire(start.done),
        undone=None if start.undone is None else start.undone.event_type,
        if_undo_fails=start.if_undo_fails,
        state=start.state,
    )
    steps = tuple(_compile_step(step, saga.step_timeout) for step in _steps_of(saga))
    asked = saga.cancelled_by
    return Definition(
        *(saga.name, saga.key, (first, *steps), milliseconds_of(saga.deadline)),
        cancelled_by=None if asked is None else asked.event_type,
        upcasts=tuple(
            (former, way.current.event_type)
            for former, way in sorted(upcastings(dict.fromkeys(_events_of(saga))).items())
        ),
        retired=tuple(sorted(saga.retired)),
    )


def _compile_step(step: _AnyStep, default: Timeout) -> StepDefinition:
    return StepDefinition(
        name=step.name,
        service=step.service,
        triggers=_wire(step.triggers),
        join=step.join if len(step.triggers) > 1 else Join.ALL,
        done=_wire(step.done),
        refused=_wire(step.refused),
        otherwise=None if step.otherwise is None else step.otherwise.event_type,
        undone=None if step.undone is None else step.undone.event_type,
        if_undo_fails=step.if_undo_fails,
        pivot=step.pivot,
        waits=isinstance(step, Wait),
        timeout_ms=milliseconds_of(default if step.timeout is None else step.timeout),
        reads=_wire(step.reads),
        state=step.state,
    )


def _wire(types: tuple[type[Event], ...]) -> tuple[str, ...]:
    return tuple(type_.event_type for type_ in types)


def _unsaid_undone(saga: type[Saga]) -> Iterator[str]:
    """In the data no undo and NOTHING look alike; only the declaration knows what was not said."""
    for step in _steps_of(saga):
        compensatable = saga.definition.kinds[step.name] is StepKind.COMPENSATABLE
        without = step.otherwise is not None and not step.pivot
        if (compensatable or without) and not step.says_undone:
            yield (
                f"{saga.name}.{step.name}: it may have to be undone; name the event of its "
                f"compensation with undone=, or say undone=NOTHING if it has no effect."
            )
