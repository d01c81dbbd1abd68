"""The JSON form of a declaration, as it is written: every word that it knows, and the shape of each.

Owns what can be said of one place alone; the JSON Schema is made of it (``sagas.language.schema``). What the
places have to do with each other is judged by ``sagas.language.graph`` and, as for every
definition, by the core.
"""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import core_schema

from sagas.core.data import Guard
from sagas.core.events import Event
from sagas.core.kinds import UndoPolicy
from sagas.core.saga import Saga
from sagas.core.starts import Reuse
from sagas.language.fields import FieldType, field_type
from sagas.language.spans import NEVER, SPAN, span_ms, span_said

__all__ = [
    "FIELD_TYPE",
    "NOTHING",
    "DataWords",
    "Document",
    "RetryWords",
    "StartWords",
    "TaskWords",
]

NOTHING: Final = "nothing"
"""Said with ``undone`` of a task that has no effect to undo."""

_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
_WHOLE = rf"{_NAME}\.[A-Z][A-Za-z0-9]*\.v[1-9][0-9]*"
_EVENT = rf"({_NAME}\.)?[A-Z][A-Za-z0-9]*(\.v[1-9][0-9]*)?"
_TASK = r"[a-z][A-Za-z0-9_]*"
_ERROR = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
FIELD_TYPE: Final = "FieldType"
"""What stands in a JSON Schema of the model where that of a field belongs."""
_SEVERAL_MAX = 6
"""So many events can be combined in one place; the types of the Python form end there."""
_SAGA_WORDS = ("start", "definition", "events", "ended", "name", "key", "retries")
_TYPES = ("str", "int", "float", "bool", "tuple", "dict")
_TAKEN: Final = frozenset({*dir(Saga), *keyword.kwlist, *_SAGA_WORDS})
_TAKEN_FIELDS: Final = frozenset({*dir(Event), *keyword.kwlist, *_TYPES})


@dataclass(frozen=True, slots=True)
class _Form:
    """A text of one form, and none of the names that are ``taken`` in every ``place``; the error says what
    was expected in words.
    """

    pattern: str
    expected: str
    taken: frozenset[str] = frozenset()
    place: str = ""

    def check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"{value!r} is not {self.expected}")
        if value in self.taken:
            raise ValueError(
                f"{value!r} means something else in every {self.place}; give it another name"
            )
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^({self.pattern})$"}


def _span(value: str) -> str:
    return span_said(span_ms(value))


def _span_or_never(value: str) -> str:
    return value if value == NEVER else _span(value)


def _one_or_more(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _one_or_more_objects(value: object) -> object:
    if isinstance(value, dict):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _some(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("an empty list; name something, or leave it out")
    return value


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    _some(value)
    if len(set(value)) != len(value):
        raise ValueError(f"{', '.join(value)}: each is named once")
    return value


def _different(value: tuple[str, ...]) -> tuple[str, ...]:
    _each_once(value)
    if len(value) > _SEVERAL_MAX:
        raise ValueError(f"{len(value)} names; at most {_SEVERAL_MAX} can be combined")
    return value


def _error(value: str) -> str:
    """A builtin exception, or one in a module, which only who imports it can judge."""
    found = getattr(builtins, value, None)
    if "." in value or (isinstance(found, type) and issubclass(found, Exception)):
        return value
    raise ValueError(
        f"{value!r} is no exception of Python's own; write one such as OSError, or in full, with its module"
    )


def _about(value: str) -> str:
    """The text as a docstring keeps it: without blanks at the ends of its lines."""
    found = "\n".join(line.strip() for line in value.strip().split("\n"))
    if not found or not found.replace("\n", "").isprintable():
        raise ValueError("about is a text that can be printed; write one, or leave it out")
    return found


_ServiceName = Annotated[
    str, _Form(_NAME, "the name of a service, in lower-case words joined by hyphens: inventory")
]
_SagaName = Annotated[
    str, _Form(_NAME, "the name of a saga, in lower-case words joined by hyphens: order-fulfilment")
]
_EventName = Annotated[
    str,
    _Form(
        _EVENT, "the name of an event, such as StockReserved, or in full inventory.StockReserved.v1"
    ),
]
_WireName = Annotated[
    str, _Form(_WHOLE, "the whole name of an event, such as depot.ParcelSorted.v1")
]
_Outcome = Annotated[
    str, _Form(rf"{_EVENT}|{NOTHING}", 'the name of an event, such as StockReleased, or "nothing"')
]
_Reference = Annotated[str, _Form(rf"{_TASK}|{_EVENT}", "the name of a task or of an event")]
_RecordName = Annotated[str, _Form(r"[A-Z][A-Za-z0-9]*", "the name of a record, such as OrderLine")]
_ErrorName = Annotated[
    str, AfterValidator(_error), _Form(_ERROR, "the name of an exception, such as OSError")
]
_State = Annotated[str, Field(min_length=1, max_length=100)]
_Span = Annotated[str, AfterValidator(_span), Field(json_schema_extra={"pattern": f"^{SPAN}$"})]
_SpanOrNever = Annotated[
    str, AfterValidator(_span_or_never), Field(json_schema_extra={"pattern": f"^({SPAN}|{NEVER})$"})
]
_Events = Annotated[
    tuple[_EventName, ...], AfterValidator(_different), BeforeValidator(_one_or_more)
]
_References = Annotated[
    tuple[_Reference, ...], AfterValidator(_different), BeforeValidator(_one_or_more)
]
_Ends = Annotated[tuple[_EventName, ...], AfterValidator(_each_once), BeforeValidator(_one_or_more)]
_Retired = Annotated[
    tuple[_WireName, ...], AfterValidator(_each_once), BeforeValidator(_one_or_more)
]
_Errors = Annotated[
    tuple[_ErrorName, ...], AfterValidator(_different), BeforeValidator(_one_or_more)
]
_DataNames = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    AfterValidator(_some),
    BeforeValidator(_one_or_more),
]
_TaskName = Annotated[
    str, _Form(_TASK, "the name of a task, such as reserve_stock", _TAKEN, "saga")
]
_FieldName = Annotated[
    str, _Form(_TASK, "the name of a field, such as order_id", _TAKEN_FIELDS, "event")
]


@dataclass(frozen=True, slots=True)
class _FieldForm:
    """A field, read by hand; where its schema belongs, a mark stands for it."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(field_type)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"description": FIELD_TYPE}


_Fields = dict[_FieldName, Annotated[FieldType, _FieldForm()]]
_Policy = Literal["block", "continue", "escalate"]
assert {one.value for one in UndoPolicy} == {"block", "continue", "escalate"}  # noqa: S101 - said twice


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataWords(_Words):
    """What a task does with its participant's data, for ``sagas check``: one of reads, writes, locks and
    unlocks, and of the first two what makes that safe.
    """

    reads: _DataNames | None = None
    writes: _DataNames | None = None
    locks: _DataNames | None = None
    unlocks: _DataNames | None = None
    guard: Literal["commutative", "reread", "version-file", "by-value"] | None = None
    own: bool = False

    @model_validator(mode="after")
    def _one_of_them(self) -> DataWords:
        """Raises ValueError in words."""
        said = [word for word in _ACCESSES if getattr(self, word) is not None]
        if len(said) != 1:
            seen = " and ".join(said) or "none"
            raise ValueError(f"expected one of {', '.join(_ACCESSES)}, and found {seen}")
        if said[0] in _LOCKING and (self.guard or self.own):
            raise ValueError(f"{said[0]} needs no guard and no own; leave them out")
        return self

    @property
    def access(self) -> tuple[str, tuple[str, ...]]:
        """The word that is said, and the names of what it is said of."""
        return next((word, names) for word in _ACCESSES if (names := getattr(self, word)))


_LOCKING = ("locks", "unlocks")
_ACCESSES = ("reads", "writes", *_LOCKING)
assert {one.value for one in Guard} == {  # noqa: S101 - said twice
    *("commutative", "reread", "version-file", "by-value"),
}
_Data = Annotated[
    tuple[DataWords, ...], AfterValidator(_some), BeforeValidator(_one_or_more_objects)
]


class StartWords(_Words):
    """How the saga begins: whose event starts it, and which event takes it back."""

    by: _ServiceName
    event: _EventName
    undone: _Outcome | None = None
    if_undo_fails: _Policy = "block"
    state: _State | None = None
    data: _Data | None = None


class RetryWords(_Words):
    """How a task is tried again. What is left out is as everywhere: three attempts, after 0.1 s and 0.4 s."""

    attempts: Annotated[int, Field(ge=1)] = 3
    backoff: _Span = "100ms"
    factor: Annotated[float, Field(ge=1, le=1_000_000)] = 4.0
    backoff_max: _Span = "10m"
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    on: _Errors | None = None
    never_on: _Errors | None = None


class TaskWords(_Words):
    """One task: who does it, after what, and what it may come to."""

    by: _ServiceName
    waits: bool = False
    depends_on: _References | None = None
    depends_on_any_of: _References | None = None
    done: _Events | None = None
    refused: _Events | None = None
    otherwise: _EventName | None = None
    undone: _Outcome | None = None
    if_undo_fails: _Policy = "block"
    pivot: bool = False
    reads: _References | None = None
    timeout: _SpanOrNever | None = None
    retry: RetryWords | None = None
    state: _State | None = None
    data: _Data | None = None


class FormerWords(_Words):
    """A former version of an event: what it is now, and what it carries besides the key. How the one is made
    of the other is a function in Python.
    """

    now: _EventName
    fields: _Fields = Field(default_factory=dict)


class Document(_Words):
    """A saga: its tasks, what each depends on, and the events in which they end.

    An event carries the key; it stands in ``events`` only if it carries more.
    """

    schema_: Annotated[str | None, Field(alias="$schema")] = None
    saga: _SagaName
    about: Annotated[str, AfterValidator(_about)] | None = None
    key: _FieldName
    key_type: Literal["string", "integer", "uuid"] = "string"
    deadline: _Span | None = None
    step_timeout: _SpanOrNever = NEVER
    cancelled_by: _EventName | None = None
    reuse: Literal["never", "after-end", "after-failure", "same-while-running"] = "never"
    ends_with: _Ends | None = None
    for_outsiders: _Ends | None = None
    start: StartWords
    tasks: Annotated[dict[_TaskName, TaskWords], Field(min_length=1)]
    events: dict[_EventName, _Fields] = Field(default_factory=dict)
    records: dict[_RecordName, _Fields] = Field(default_factory=dict)
    formers: dict[_EventName, FormerWords] = Field(default_factory=dict)
    retired: _Retired | None = None


assert {one.value for one in Reuse} == {  # noqa: S101 - said twice
    *("never", "after-end", "after-failure", "same-while-running"),
}
