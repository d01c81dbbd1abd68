"""The words of a declaration: ``Start``, ``Step``, ``Wait``, ``NOTHING`` and the rest of them.

Owns what a developer writes in the body of a saga and the types that a type checker derives from
it. Nothing is judged here: ``sagas.core.saga`` knows the names that an error needs.

The types follow a recipe that mypy and pyright both accept. A step's type variables are solved by
an overloaded ``__new__`` whose own type variables have defaults (PEP 696), so that an absent
argument gives ``Never`` or a marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Never, final, overload

from typing_extensions import TypeVar, TypeVarTuple

from sagas.core.combinations import AllOf, AnyOf, OneOf, Several
from sagas.core.data import Data
from sagas.core.definition import Join, UndoPolicy
from sagas.core.durations import NEVER, Timeout
from sagas.core.events import Event
from sagas.core.keywords import check_words
from sagas.core.places import place_of_caller
from sagas.core.retry import Retry

if TYPE_CHECKING:
    from sagas.core.saga import Saga

__all__ = [
    "BLOCK",
    "CONTINUE",
    "ESCALATE",
    "NOTHING",
    "NothingToUndo",
    "Start",
    "Step",
    "Wait",
]


@final
class NothingToUndo:
    """The type of ``NOTHING``, and of a step's undo where there is none. Not callable."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = NothingToUndo()
"""Said of a step that has no effect which would have to be undone."""

BLOCK: Final = UndoPolicy.BLOCK
CONTINUE: Final = UndoPolicy.CONTINUE
ESCALATE: Final = UndoPolicy.ESCALATE

_ABSENT: Final = NothingToUndo()


class _Declared:
    """What start, steps and waits have in common: who acts, what happens, and their place in a saga.

    ``timeout`` and ``retry`` are None where nothing is said. ``data`` is what it does with its
    participant's data; ``place`` where in the source it stands.
    """

    name: str
    saga: type[Saga]
    service: str
    triggers: tuple[type[Event], ...] = ()
    join: Join = Join.ALL
    done: tuple[type[Event], ...]
    refused: tuple[type[Event], ...] = ()
    otherwise: type[Event] | None = None
    undone: type[Event] | None = None
    says_undone: bool
    if_undo_fails: UndoPolicy = UndoPolicy.BLOCK
    pivot: bool = False
    reads: tuple[type[Event], ...] = ()
    timeout: Timeout | None = None
    retry: Retry | None = None
    state: str | None
    data: tuple[Data, ...] = ()
    place: str = ""
    names: tuple[str, ...] = ()

    def __set_name__(self, owner: type[Saga], name: str) -> None:
        """Learn saga and name from the class body; a second name is remembered as a mistake."""
        self.names = (*self.names, f"{owner.__name__}.{name}")
        self.saga = owner
        self.name = name

    def __repr__(self) -> str:
        return self.names[0] if self.names else f"{type(self).__name__}(by={self.service!r})"


In = TypeVar("In")
Done = TypeVar("Done")
Refused = TypeVar("Refused")
Otherwise = TypeVar("Otherwise")
Undone = TypeVar("Undone")
Answer = TypeVar("Answer")

_Trigger = TypeVar("_Trigger", bound=Event)
_Triggers = TypeVarTuple("_Triggers")
_Done = TypeVar("_Done", bound=Event)
_AnswerDone = TypeVar("_AnswerDone", bound=Event)
_AnswerRefused = TypeVar("_AnswerRefused", bound=Event)
_Refused = TypeVar("_Refused", bound=Event, default=Never)
_Otherwise = TypeVar("_Otherwise", bound=Event, default=Never)
_Undone = TypeVar("_Undone", bound=Event | NothingToUndo, default=NothingToUndo)


class Start(_Declared, Generic[In, Undone]):
    """How a saga begins: the event that starts it, who emits it, and what takes it back.

    The start can be undone like a step (a failed order must not stay "placed" for ever); it is the
    last compensation. ``undone=NOTHING`` says that nothing is left to take back.
    """

    @overload
    def __new__(
        cls,
        event: type[_Trigger],
        /,
        *,
        by: str,
        undone: NothingToUndo,
        if_undo_fails: UndoPolicy = BLOCK,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
    ) -> Start[_Trigger, NothingToUndo]: ...
    @overload
    def __new__(
        cls,
        event: type[_Trigger],
        /,
        *,
        by: str,
        undone: type[_Done],
        if_undo_fails: UndoPolicy = BLOCK,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
    ) -> Start[_Trigger, _Done]: ...
    def __new__(
        cls,
        event: Any,
        /,
        *,
        by: str,
        undone: Any = _ABSENT,
        if_undo_fails: UndoPolicy = BLOCK,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
        **unknown: object,
    ) -> Any:
        """Keep what was written; the saga checks it, because it knows the names."""
        self = super().__new__(cls)
        check_words("Start", unknown)
        self.service = by
        self.done = (event,)
        self.undone = None if isinstance(undone, NothingToUndo) else undone
        self.says_undone = undone is not _ABSENT and undone is not None
        self.if_undo_fails = if_undo_fails
        self.state = state
        self.data = data if isinstance(data, tuple) else (data,)
        self.place = place_of_caller()
        return self


class Step(_Declared, Generic[In, Done, Refused, Otherwise, Undone]):
    """One local transaction of one participant: what triggers it and what it may answer.

    ``on`` is one event type, ``AllOf`` or ``AnyOf``; ``done`` and ``refused`` are one type or
    ``OneOf``. ``otherwise`` is the event along which the saga goes on without the step: the handler
    may return it, and a timeout or a final failure records it. ``undone`` names the event of its
    compensation, or is ``NOTHING``; only the pivot and the retriable steps behind it may leave it
    out. ``if_undo_fails`` says what follows when the compensation fails for good: ``BLOCK`` parks the
    saga, ``CONTINUE`` undoes the others and ends it as FAILED, ``ESCALATE`` parks it and calls.
    ``timeout`` and ``retry`` default to the saga's. ``reads`` are events that the handler needs besides
    its triggers. ``state`` names the business state that is reached; it is shown and decides nothing.
    ``data`` says what it does with its participant's data, for ``sagas check``.
    """

    @overload
    def __new__(
        cls,
        *,
        by: str,
        on: type[_Trigger] | AnyOf[_Trigger],
        done: type[_Done] | OneOf[_Done],
        refused: type[_Refused] | OneOf[_Refused] | None = None,
        otherwise: type[_Otherwise] | None = None,
        undone: type[_Undone] | NothingToUndo = _ABSENT,
        if_undo_fails: UndoPolicy = BLOCK,
        pivot: bool = False,
        reads: type[Event] | tuple[type[Event], ...] | None = None,
        timeout: Timeout | None = None,
        retry: Retry | None = None,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
    ) -> Step[_Trigger, _Done, _Refused, _Otherwise, _Undone]: ...
    @overload
    def __new__(
        cls,
        *,
        by: str,
        on: AllOf[*_Triggers],
        done: type[_Done] | OneOf[_Done],
        refused: type[_Refused] | OneOf[_Refused] | None = None,
        otherwise: type[_Otherwise] | None = None,
        undone: type[_Undone] | NothingToUndo = _ABSENT,
        if_undo_fails: UndoPolicy = BLOCK,
        pivot: bool = False,
        reads: type[Event] | tuple[type[Event], ...] | None = None,
        timeout: Timeout | None = None,
        retry: Retry | None = None,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
    ) -> Step[AllOf[*_Triggers], _Done, _Refused, _Otherwise, _Undone]: ...
    def __new__(
        cls,
        *,
        by: str,
        on: Any,
        done: Any,
        refused: Any = None,
        otherwise: Any = None,
        undone: Any = _ABSENT,
        if_undo_fails: UndoPolicy = BLOCK,
        pivot: bool = False,
        reads: Any = None,
        timeout: Timeout | None = None,
        retry: Retry | None = None,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
        **unknown: object,
    ) -> Any:
        """Keep what was written; the saga checks it, because it knows the names."""
        self = super().__new__(cls)
        check_words("Step", unknown)
        self.service = by
        self.triggers = _types(on, AllOf, AnyOf)
        self.join = Join.ANY if isinstance(on, AnyOf) else Join.ALL
        self.done = _types(done, OneOf)
        self.refused = () if refused is None else _types(refused, OneOf)
        self.otherwise = otherwise
        self.undone = None if isinstance(undone, NothingToUndo) else undone
        self.says_undone = undone is not _ABSENT and undone is not None
        self.if_undo_fails = if_undo_fails
        self.pivot = pivot
        self.reads = reads if isinstance(reads, tuple) else () if reads is None else (reads,)
        self.timeout = timeout
        self.retry = retry
        self.state = state
        self.data = data if isinstance(data, tuple) else (data,)
        self.place = place_of_caller()
        return self


class Wait(_Declared, Generic[Answer]):
    """A step without a handler: completed, or refused, from outside by one of its ``Answer`` events.

    ``done`` may be absent: a period of grace that ends at its timeout. When the time is up, the saga
    goes on along ``otherwise``; where there is none it turns back, or is parked past the pivot. The
    saga's ``step_timeout`` is not for waits: who says nothing waits for ever.
    """

    @overload
    def __new__(
        cls,
        *,
        by: str,
        on: type[Event] | AllOf[*tuple[Any, ...]] | AnyOf[Any],
        done: None = None,
        refused: None = None,
        otherwise: type[Event] | None = None,
        timeout: Timeout = NEVER,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
    ) -> Wait[Never]: ...
    @overload
    def __new__(
        cls,
        *,
        by: str,
        on: type[Event] | AllOf[*tuple[Any, ...]] | AnyOf[Any],
        done: type[_AnswerDone] | OneOf[_AnswerDone],
        refused: type[_Refused] | OneOf[_Refused] | None = None,
        otherwise: type[Event] | None = None,
        timeout: Timeout = NEVER,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
    ) -> Wait[_AnswerDone | _Refused]: ...
    @overload
    def __new__(
        cls,
        *,
        by: str,
        on: type[Event] | AllOf[*tuple[Any, ...]] | AnyOf[Any],
        done: None = None,
        refused: type[_AnswerRefused] | OneOf[_AnswerRefused],
        otherwise: type[Event] | None = None,
        timeout: Timeout = NEVER,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
    ) -> Wait[_AnswerRefused]: ...
    def __new__(
        cls,
        *,
        by: str,
        on: Any,
        done: Any = None,
        refused: Any = None,
        otherwise: Any = None,
        timeout: Timeout = NEVER,
        state: str | None = None,
        data: Data | tuple[Data, ...] = (),
        **unknown: object,
    ) -> Any:
        """Keep what was written; the saga checks it, because it knows the names."""
        self = super().__new__(cls)
        check_words("Wait", unknown)
        self.service = by
        self.triggers = _types(on, AllOf, AnyOf)
        self.join = Join.ANY if isinstance(on, AnyOf) else Join.ALL
        self.done = () if done is None else _types(done, OneOf)
        self.refused = () if refused is None else _types(refused, OneOf)
        self.otherwise = otherwise
        self.says_undone = True
        self.timeout = timeout
        self.state = state
        self.data = data if isinstance(data, tuple) else (data,)
        self.place = place_of_caller()
        return self


def _types(written: Any, *words: type[Several]) -> tuple[type[Event], ...]:
    return written.types if isinstance(written, words) else (written,)  # judged by the saga
