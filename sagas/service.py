"""A participant: which functions perform and undo its steps, and which observe.

Owns the registration of handlers and the checks that make a missing or wrong one fail when the
worker starts. Connects to nothing and runs nothing: a runtime reads what is registered here.

The decorators' types hang on the shape of the step, not of the handler, so that a type checker's
error names what was expected. A decorated function keeps its parameters and its outcome; a
coroutine stays one.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, TypeVar, overload

from typing_extensions import TypeVarTuple

from sagas.context import EventContext, StepContext
from sagas.core.combinations import AllOf
from sagas.core.completion import Completes
from sagas.core.concurrency import Concurrency, checked_concurrency
from sagas.core.definition import START, Direction, Join
from sagas.core.errors import DefinitionError
from sagas.core.events import Event, is_abstract
from sagas.core.retry import Retry
from sagas.core.saga import EndOf, Saga, SagaEnded
from sagas.core.steps import NothingToUndo, Start, Step, Wait
from sagas.core.upcasting import Upcasting, upcastings
from sagas.signatures import Handler, Registers, Signature, handler_of

__all__ = ["Handler", "Lifespan", "Observer", "Registers", "Service"]

A = TypeVar("A", bound=Event)
B = TypeVar("B", bound=Event)
C = TypeVar("C", bound=Event)
D = TypeVar("D", bound=Event)
E = TypeVar("E", bound=Event)
Done = TypeVar("Done", bound=Event)
Refused = TypeVar("Refused", bound=Event)
Otherwise = TypeVar("Otherwise", bound=Event)
Undone = TypeVar("Undone", bound=Event)
Answer = TypeVar("Answer")
Joined = TypeVarTuple("Joined")

Lifespan = Callable[[], AbstractAsyncContextManager[Iterable[object]]]
"""Opens what the handlers of one service need, once, and closes it."""

_L = TypeVar("_L", bound=Lifespan)


OBSERVER_RETRY = Retry(attempts=6)
"""Half a minute in all: a database that is restarted is back by then, and nothing else waits for it."""


@dataclass(frozen=True, slots=True)
class Observer:
    """A function that sees events, or the ends of sagas, without being a step.

    At-least-once, as for every message; nothing waits for an observer and nothing is undone by it.
    ``event_types`` are names on the wire, ``events`` their classes, ``formers`` their former versions,
    ``ended`` the names of sagas, and ``emitters`` the services that publish what is observed.
    """

    event_types: frozenset[str]
    ended: frozenset[str]
    events: Mapping[str, type[Event]]
    emitters: frozenset[str]
    handler: Handler
    retry: Retry
    formers: Mapping[str, Upcasting] = field(default_factory=dict)


@asynccontextmanager
async def _no_resources() -> AsyncIterator[Iterable[object]]:
    yield ()


class Service:
    """One participant and its handlers; ``name`` is what ``by=`` says in the sagas.

    ``tombstones`` says that an action that comes after its own undo is refused here: a journal among the
    resources does that, or a note that the handlers keep. It is for ``sagas check`` and changes nothing.
    ``tenant_concurrency`` bounds how many steps run at once for one tenant in one worker.
    Registering what does not fit raises DefinitionError on the spot; ``check`` finds what is
    missing.
    """

    name: str
    tombstones: bool
    performers: dict[tuple[str, str], Handler]
    undoers: dict[tuple[str, str], Handler]
    observers: list[Observer]
    resources: Lifespan
    tenant_concurrency: int | None
    concurrency: dict[tuple[str, str, Direction], Concurrency]

    def __init__(
        self, name: str, *, tombstones: bool = False, tenant_concurrency: int | None = None
    ) -> None:
        given: object = tenant_concurrency
        if given is not None and (type(given) is not int or given < 1):
            raise DefinitionError(
                f"Service({name!r}): tenant_concurrency= is {given!r}; expected a number from 1 on."
            )
        self.name = name
        self.tenant_concurrency = tenant_concurrency
        self.concurrency = {}
        self.tombstones = tombstones
        self.performers = {}
        self.undoers = {}
        self.observers = []
        self.resources = _no_resources
        self._sagas: dict[type[Saga], None] = {}

    def __repr__(self) -> str:
        return f"Service({self.name!r})"

    @property
    def sagas(self) -> tuple[type[Saga], ...]:
        """The sagas that it performs or undoes steps of, in the order of registration."""
        return tuple(self._sagas)

    @overload
    def performs(
        self,
        step: Step[AllOf[*Joined], Done, Refused, Otherwise, Any],
        /,
        *,
        concurrency: Concurrency | None = ...,
    ) -> Registers[Done | Refused | Otherwise, *Joined, StepContext]: ...
    @overload
    def performs(
        self,
        step: Step[E, Done, Refused, Otherwise, Any],
        /,
        *,
        concurrency: Concurrency | None = ...,
    ) -> Registers[Done | Refused | Otherwise, E, StepContext]: ...
    def performs(
        self, step: Step[Any, Any, Any, Any, Any], /, *, concurrency: Concurrency | None = None
    ) -> Any:
        """Register the handler of a step: ``(trigger, ..., context) -> outcome``.

        At-least-once: it may run again with the same idempotency key and must then answer the same.
        A refusal is returned, and so may be the step's otherwise event; an exception means "try
        again" or a bug. ``concurrency`` bounds how many calls run at once in one worker: a number, or
        ``Adaptive(4, 64)``, as many as go without getting slower. Raises DefinitionError.
        """
        self._check_place(step, Step, "perform")
        returns = (
            *step.done,
            *step.refused,
            *(() if step.otherwise is None else (step.otherwise,)),
        )
        signature = Signature((*_triggers(step), (StepContext,)), returns)
        self._bound(step, Direction.FORWARD, concurrency)
        return self._registration(self.performers, step, signature, "perform")

    @overload
    def undoes(self, step: Start[Any, NothingToUndo], /) -> NothingToUndo: ...
    @overload
    def undoes(self, step: Step[Any, Any, Any, Any, NothingToUndo], /) -> NothingToUndo: ...
    @overload
    def undoes(
        self, step: Start[E, Undone], /, *, concurrency: Concurrency | None = ...
    ) -> Registers[Undone, E, StepContext]: ...
    @overload
    def undoes(
        self,
        step: Step[AllOf[*Joined], Done, Any, Any, Undone],
        /,
        *,
        concurrency: Concurrency | None = ...,
    ) -> Registers[Undone, *Joined, Done | None, StepContext]: ...
    @overload
    def undoes(
        self,
        step: Step[E, Done, Any, Any, Undone],
        /,
        *,
        concurrency: Concurrency | None = ...,
    ) -> Registers[Undone, E, Done | None, StepContext]: ...
    def undoes(
        self,
        step: Start[Any, Any] | Step[Any, Any, Any, Any, Any],
        /,
        *,
        concurrency: Concurrency | None = None,
    ) -> Any:
        """Register the compensation of a step: ``(trigger, ..., outcome | None, context) ->
        undone``.

        The outcome is None where it is not known: the effect may or may not be there. That of the
        start is ``(event, context) -> undone``. At-least-once, like a forward action; ``concurrency``
        as for one. Raises DefinitionError, also where there is nothing to undo.
        """
        self._check_place(step, (Start, Step), "undo")
        if step.undone is None:
            raise DefinitionError(
                f"{self!r} can not undo {step!r}: the saga declares nothing to undo there. Name "
                f"the event with undone=, or remove the handler."
            )
        given = (
            (step.done,) if isinstance(step, Start) else (*_triggers(step), (*step.done, NoneType))
        )
        signature = Signature((*given, (StepContext,)), (step.undone,))
        self._bound(step, Direction.UNDO, concurrency)
        return self._registration(self.undoers, step, signature, "undo")

    def completes(self, wait: Wait[Answer], /) -> Completes[Answer]:
        """How a step that waits is completed, or refused, from outside: ``(key, event)``.

        What it returns is checked and not told yet: give it to the client. Raises DefinitionError.
        """
        self._check_place(wait, Wait, "complete")
        if not wait.done and not wait.refused:
            raise DefinitionError(
                f"{self!r} can not complete {wait!r}: the saga declares nothing that ends it but its "
                f"timeout. Name an event with done= or refused=."
            )
        self._sagas[wait.saga] = None
        return Completes(wait)

    @overload
    def observes(
        self, end: EndOf, /, *ends: EndOf, retry: Retry = ...
    ) -> Registers[None, SagaEnded, EventContext]: ...
    @overload
    def observes(
        self, a: type[A], /, *, retry: Retry = ...
    ) -> Registers[None, A, EventContext]: ...
    @overload
    def observes(
        self, a: type[A], b: type[B], /, *, retry: Retry = ...
    ) -> Registers[None, A | B, EventContext]: ...
    @overload
    def observes(
        self, a: type[A], b: type[B], c: type[C], /, *, retry: Retry = ...
    ) -> Registers[None, A | B | C, EventContext]: ...
    @overload
    def observes(
        self, a: type[A], b: type[B], c: type[C], d: type[D], /, *, retry: Retry = ...
    ) -> Registers[None, A | B | C | D, EventContext]: ...
    @overload
    def observes(
        self, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /, *, retry: Retry = ...
    ) -> Registers[None, A | B | C | D | E, EventContext]: ...
    def observes(self, *observed: Any, retry: Retry = OBSERVER_RETRY) -> Any:
        """Register an observer of event types, or of the ends of sagas: ``(event, context)``.

        At-least-once, and in no order between sagas. ``retry`` says how it is tried: in the process, also
        its long pauses, and after the last attempt the message is a dead letter. Raises DefinitionError.
        """
        given: object = retry
        if not isinstance(given, Retry):
            raise DefinitionError(f"{self!r}: retry= is {given!r}; expected Retry(attempts=5).")
        ends = [one for one in observed if isinstance(one, EndOf)]
        events = [one for one in observed if isinstance(one, type) and issubclass(one, Event)]
        unfit = [one for one in events if is_abstract(one)]
        if not observed or unfit or len(observed) not in {len(ends), len(events)}:
            raise DefinitionError(
                f"{self!r} can not observe "
                f"{', '.join(map(_shown, unfit or observed)) or 'nothing'}; name either event "
                "types that have a name on the wire, or ends of sagas such as "
                "OrderFulfilment.ended."
            )
        signature = Signature((tuple(events) or (SagaEnded,), (EventContext,)))

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            role = f"observe {', '.join(map(_shown, observed))}"
            handler = handler_of(function, signature, role)
            by_name = {event.event_type: event for event in events}
            names = frozenset(end.saga.name for end in ends)
            publishers = [event.publisher() for event in events]
            of_ends = [service for end in ends for service in end.saga.definition.services]
            emitters = frozenset((*publishers, *of_ends))
            formers = {one: way for one, way in upcastings(events).items() if one not in by_name}
            self.observers.append(
                Observer(frozenset(by_name), names, by_name, emitters, handler, retry, formers)
            )
            return function

        return register

    def lifespan(self, factory: _L) -> _L:
        """Take what opens the resources of the handlers: an async context manager without arguments
        that yields them. It is entered once per worker. Raises DefinitionError.
        """
        if inspect.isasyncgenfunction(factory) or inspect.iscoroutinefunction(factory):
            raise DefinitionError(
                f"The lifespan of {self!r} is no context manager; decorate it with "
                f"contextlib.asynccontextmanager, below @lifespan."
            )
        if self.resources is not _no_resources:
            raise DefinitionError(f"{self!r} has a lifespan already; open everything in one.")
        self.resources = factory
        return factory

    def check(self, sagas: Iterable[type[Saga]] = ()) -> None:
        """Raise one DefinitionError that lists every handler that these sagas, and those with a
        handler here, give to this service and that is not there. For the start of a worker.
        """
        missing = [
            problem
            for saga in dict.fromkeys((*self.sagas, *sagas))
            for problem in self._missing(saga)
        ]
        if missing:
            listed = "\n".join(f"- {problem}" for problem in missing)
            raise DefinitionError(f"{self!r} is not complete:\n{listed}")

    def _missing(self, saga: type[Saga]) -> Iterator[str]:
        for step in saga.definition.steps_of.get(self.name, ()):
            key = (saga.name, step.name)
            named = f"{saga.__name__}.{step.name}"
            if step.name != START and not step.waits and key not in self.performers:
                yield f"nothing performs {named}; decorate a function with performs({named})."
            if step.undone is not None and key not in self.undoers:
                yield f"nothing undoes {named}; decorate a function with undoes({named})."

    def _check_place(self, step: Any, fits: Any, verb: str) -> None:
        if isinstance(step, Wait) and fits is not Wait and hasattr(step, "saga"):
            raise DefinitionError(
                f"{self!r} can not {verb} {step!r}: it waits, and has no handler. Complete it from "
                f"outside with completes({step!r})(key, event)."
            )
        if isinstance(step, Start | Step) and fits is Wait:
            raise DefinitionError(
                f"{self!r} can not complete {step!r}: only a Wait is completed from outside. Register "
                f"a handler, or declare it as a Wait."
            )
        if isinstance(step, Start) and fits is Step and hasattr(step, "saga"):
            raise DefinitionError(
                f"{self!r} can not {verb} {step!r}: a start has no handler; it is done when its event "
                f"is there, by client.start({_shown(step.done[0])}(...)). What takes it back is registered "
                f"with undoes({step!r})."
            )
        if inspect.isfunction(step):
            raise DefinitionError(
                f"{self!r} can not {verb} {step.__name__}: the decorator stands without its step. Write "
                f"it with the step in brackets, such as {_DECORATORS[verb]}(OrderFulfilment.reserve_stock)."
            )
        if not isinstance(step, fits) or not hasattr(step, "saga"):
            raise DefinitionError(
                f"{self!r} can not {verb} {step!r}; give a step of a saga, such as "
                f"OrderFulfilment.reserve_stock."
            )
        if step.service != self.name:
            raise DefinitionError(
                f"{self!r} can not {verb} {step!r}: the saga gives it to {step.service!r}. "
                f"Register the handler there, or change by=."
            )

    def _bound(self, step: Any, direction: Direction, concurrency: Concurrency | None) -> None:
        said = checked_concurrency(concurrency, f"{self!r} and {step!r}")
        if said is not None:
            self.concurrency[step.saga.name, step.name, direction] = said

    def _registration(
        self,
        registered: dict[tuple[str, str], Handler],
        step: Start[Any, Any] | Step[Any, Any, Any, Any, Any],
        signature: Signature,
        verb: str,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        key = (step.saga.name, step.name)

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            handler = handler_of(function, signature, f"{verb} {step!r}")
            if key in registered:
                raise DefinitionError(
                    f"{handler.name} can not {verb} {step!r}: {registered[key].name} is registered "
                    f"for it already. Remove one of them."
                )
            registered[key] = handler
            self._sagas[step.saga] = None
            return function

        return register


_DECORATORS = {"perform": "performs", "undo": "undoes", "complete": "completes"}


def _triggers(step: Step[Any, Any, Any, Any, Any]) -> tuple[tuple[type[Event], ...], ...]:
    if step.join is Join.ANY:
        return (step.triggers,)
    return tuple((trigger,) for trigger in step.triggers)


def _shown(observed: Any) -> str:
    if isinstance(observed, EndOf):
        return f"{observed.saga.__name__}.ended"
    return getattr(observed, "__name__", repr(observed))
