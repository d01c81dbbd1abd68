"""From a saga in Python to a declaration.

Owns the way back: what pydantic knows of each event becomes the fields that JSON can say. Whatever JSON can
not say is a problem, never left out in silence. Functions and properties of a model are its own, and no part
of what travels.
"""

from __future__ import annotations

import datetime as dt
import decimal
import inspect
import types
import typing
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sagas.core.data import Data, Locks, Reads, Unlocks, Writes
from sagas.core.durations import milliseconds_of
from sagas.core.errors import DefinitionError
from sagas.core.events import Event
from sagas.core.personal import PERSONAL
from sagas.core.retry import Retry
from sagas.core.saga import Saga
from sagas.core.starts import Reuse
from sagas.core.steps import Start, Step, Wait
from sagas.language.declaration import Declaration, Fields, Said
from sagas.language.document import DataWords, RetryWords
from sagas.language.fields import NO_DEFAULT, FieldType, in_order_of_words
from sagas.language.graph import circles
from sagas.language.spans import span_said

__all__ = ["declaration_of"]

_WORDS: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dt.date: "date",
    dt.datetime: "date-time",
    dt.time: "time",
    uuid.UUID: "uuid",
    decimal.Decimal: "decimal",
}
_KEYS: Mapping[Any, str] = {str: "string", int: "integer", uuid.UUID: "uuid"}
_ACCESSES = ((Reads, "reads"), (Writes, "writes"), (Locks, "locks"), (Unlocks, "unlocks"))
_BOUNDS: tuple[tuple[type, str, str], ...] = (
    (annotated_types.Ge, "ge", "minimum"),
    (annotated_types.Gt, "gt", "exclusiveMinimum"),
    (annotated_types.Le, "le", "maximum"),
    (annotated_types.Lt, "lt", "exclusiveMaximum"),
    (annotated_types.MultipleOf, "multiple_of", "multipleOf"),
)


class _Unsayable(Exception):
    """JSON has no words for it."""


def declaration_of(saga: type[Saga]) -> Declaration:
    """What the saga declares. Raises DefinitionError that lists everything that JSON can not say."""
    reader = _Reader(saga)
    events, formers = reader.events(), reader.formers()
    declared = {
        name: value for name, value in vars(saga).items() if isinstance(value, Start | Step | Wait)
    }
    said = {name: reader.said(name, value) for name, value in declared.items()}
    reader.problems.extend(
        f"the models {' in '.join((*circle, circle[0]))} hold each other without end."
        for circle in circles(reader.held())
    )
    if reader.problems:
        listed = "\n".join(f"- {problem}" for problem in reader.problems)
        raise DefinitionError(f"The saga {saga.__qualname__} can not be said in JSON:\n{listed}")
    about = vars(saga).get("__doc__")
    return Declaration(
        definition=saga.definition,
        said={name: one for name, one in said.items() if one != Said()},
        events=events,
        records=reader.records,
        formers=formers,
        about=None if not about else _about(about),
        key_type=reader.key_type,
        step_timeout_ms=milliseconds_of(saga.step_timeout),
        reuse=Reuse(saga.reuse).value,
        ends_with=_types(saga.ends_with),
        for_outsiders=_types(saga.for_outsiders),
    )


def _types(marked: type[Event] | tuple[type[Event], ...]) -> tuple[str, ...]:
    each = marked if isinstance(marked, tuple) else (marked,)
    return tuple(one.event_type for one in each)


def _about(text: str) -> str:
    return "\n".join(line.strip() for line in inspect.cleandoc(text).strip().split("\n"))


class _Reader:
    def __init__(self, saga: type[Saga]) -> None:
        self.saga = saga
        self.problems: list[str] = []
        self.records: dict[str, Fields] = {}
        self.models: dict[str, type[BaseModel]] = {}
        self.key_type = "string"

    def events(self) -> dict[str, Fields]:
        """The fields of each event besides the key."""
        found: dict[str, Fields] = {}
        own = [type_ for type_ in self.saga.events.values() if type_.publisher() != "sagas"]
        for type_ in own:
            self._key(type_)
            fields = self._fields(type_, but=self.saga.key)
            if fields:
                found[type_.event_type] = fields
        return found

    def formers(self) -> dict[str, Fields]:
        """The fields of each former version besides the key."""
        found: dict[str, Fields] = {}
        for former, way in sorted(self.saga.formers.items()):
            if self.saga.key in way.former.model_fields:
                self._key(way.former)
                found[former] = self._fields(way.former, but=self.saga.key)
            else:
                self.problems.append(f"{way.former.__qualname__}: it has no {self.saga.key}.")
        return found

    def _key(self, type_: type[Event]) -> None:
        field = type_.model_fields[self.saga.key]
        word = _KEYS.get(field.annotation) if not field.metadata and field.is_required() else None
        if word is None:
            self.problems.append(
                f"{type_.__qualname__}.{self.saga.key}: a key is a plain str, int or UUID."
            )
        self.key_type = word or self.key_type

    def _fields(self, model: type[BaseModel], but: str = "") -> Fields:
        decorated = model.__pydantic_decorators__
        if decorated.field_validators or decorated.model_validators or decorated.validators:
            self.problems.append(f"{model.__qualname__}: it has validators of its own.")
        found: dict[str, FieldType] = {}
        for name, field in model.model_fields.items():
            if name == but:
                continue
            try:
                found[name] = self._field(field)
            except _Unsayable as error:
                self.problems.append(f"{model.__qualname__}.{name}: {error}")
        return found

    def _field(self, field: FieldInfo) -> FieldType:
        if field.alias or field.validation_alias or field.serialization_alias:
            raise _Unsayable("it has another name on the wire; call it so in Python, too.")
        if field.default_factory is not None:
            raise _Unsayable("its default is made by a function; give it a value, or none.")
        annotation, optional = _without_none(field.annotation)
        kind = self._type(annotation, list(field.metadata))
        if optional and (field.is_required() or field.default is not None):
            raise _Unsayable("what may be None is None where it is absent; write = None.")
        default = (
            NO_DEFAULT if field.is_required() or optional else self._default(field.default, kind)
        )
        return replace(kind, optional=optional, default=default)

    def _default(self, value: Any, kind: FieldType) -> Any:
        value = () if kind.word == "list" and list(value) == [] else value
        fits = {
            "string": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "integer": type(value) is int,
            "number": type(value) in {int, float},
            "enum": value in kind.choices,
            "list": value == (),
        }
        if not fits.get(kind.word, False):
            raise _Unsayable(f"JSON has no default {value!r} for {kind.word}.")
        return value

    def _type(self, annotation: Any, metadata: list[Any]) -> FieldType:
        while get_origin(annotation) is typing.Annotated:
            annotation, *more = get_args(annotation)
            metadata = [*(m for one in more for m in _metadata(one)), *metadata]
        kind = self._plain(annotation)
        limits = dict(_limit(one, kind.word) for one in _flat(metadata) if one is not PERSONAL)
        return replace(kind, limits=in_order_of_words(limits), personal=PERSONAL in metadata)

    def _plain(self, annotation: Any) -> FieldType:
        origin, given = get_origin(annotation), get_args(annotation)
        if annotation in _WORDS:
            return FieldType(_WORDS[annotation])
        if origin is list or (origin is tuple and len(given) == 2 and given[1] is ...):  # noqa: PLR2004
            return FieldType("list", of=self._type(given[0], []))
        if origin is dict and given[0] is str:
            return FieldType("map", of=self._type(given[1], []))
        if origin is typing.Literal and all(isinstance(one, str) for one in given):
            return FieldType("enum", choices=tuple(given))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self._record(annotation)
        shown = getattr(annotation, "__name__", None) or repr(annotation)
        raise _Unsayable(
            f"JSON has no word for {shown}; there are str, int, float, bool, dates and times, UUID, Decimal, "
            "Literal texts, lists, tuple[X, ...], dict[str, X] and models of these."
        )

    def _record(self, model: type[BaseModel]) -> FieldType:
        name = model.__name__
        other = self.models.setdefault(name, model)
        if other is not model:
            raise _Unsayable(f"two models are called {name}; give one another name.")
        if issubclass(model, Event):
            raise _Unsayable(f"{name} is an event, and no part of another; use a model of its own.")
        if name not in self.records:
            self.records[name] = {}
            self.records[name] = self._fields(model)
        return FieldType(name)

    def held(self) -> dict[str, list[str]]:
        """The records that each record holds."""
        return {
            name: [one for kind in fields.values() for one in kind.records()]
            for name, fields in self.records.items()
        }

    def said(self, name: str, value: Any) -> Said:
        """What a step says of itself besides its definition."""
        waits, retry = isinstance(value, Wait), None
        timeout = value.timeout is not None and not (
            waits and milliseconds_of(value.timeout) is None
        )
        if value.retry is not None:
            try:
                retry = _retry(value.retry)
            except (_Unsayable, ValidationError) as error:
                self.problems.append(f"{self.saga.__qualname__}.{name}: {error}")
        undone = value.says_undone and not waits and not isinstance(value, Start)
        return Said(timeout=timeout, undone=undone, retry=retry, data=tuple(map(_data, value.data)))


def _data(said: Data) -> DataWords:
    word = next(word for kind, word in _ACCESSES if isinstance(said, kind))
    access: dict[str, Any] = {word: said.names}
    if isinstance(said, Reads | Writes):
        guard: Any = None if said.guard is None else said.guard.value
        return DataWords(**access, guard=guard, own=said.own)
    return DataWords(**access)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in {Union, types.UnionType}:
        return annotation, False
    kept = [one for one in get_args(annotation) if one is not type(None)]
    if len(kept) != 1 or len(kept) == len(get_args(annotation)):
        raise _Unsayable("a union of several types has no word in JSON.")
    return kept[0], True


def _metadata(given: Any) -> list[Any]:
    return list(given.metadata) if isinstance(given, FieldInfo) else [given]


def _flat(metadata: list[Any]) -> Iterator[Any]:
    for one in metadata:
        if isinstance(one, annotated_types.GroupedMetadata):
            yield from one
        else:
            yield one


def _limit(given: Any, word: str) -> tuple[str, Any]:
    for kind, attribute, name in _BOUNDS:
        if isinstance(given, kind):
            return name, getattr(given, attribute)
    sizes = "Items" if word == "list" else "Length"
    if isinstance(given, annotated_types.MinLen):
        return f"min{sizes}", given.min_length
    if isinstance(given, annotated_types.MaxLen):
        return f"max{sizes}", given.max_length
    rest = {
        name: value for name, value in getattr(given, "__dict__", {}).items() if value is not None
    }
    if rest.keys() == {"pattern"} and isinstance(rest["pattern"], str):
        return "pattern", rest["pattern"]
    raise _Unsayable(f"JSON has no word for {given!r}.")


def _retry(retry: Retry) -> RetryWords | None:
    if retry == Retry():
        return None
    usual = Retry()
    given: dict[str, Any] = {
        name: getattr(retry, name) for name in ("attempts", "factor", "jitter")
    }
    for name in ("backoff", "backoff_max"):
        ms = milliseconds_of(getattr(retry, name))
        if not ms or getattr(retry, name) != dt.timedelta(milliseconds=ms):
            raise _Unsayable(f"the {name} of its retry is no whole number of milliseconds from 1.")
        given[name] = span_said(ms)
    for name in ("on", "never_on"):
        errors = getattr(retry, name)
        if errors != getattr(usual, name):
            listed = errors if isinstance(errors, tuple) else (errors,)
            given[name] = tuple(_error(one) for one in listed)
    return RetryWords(**given)


def _error(error: type[Exception]) -> str:
    if "<locals>" in error.__qualname__:
        raise _Unsayable(
            f"the error {error.__qualname__} is defined in a function, where nobody finds it."
        )
    builtin = error.__module__ == "builtins"
    return error.__qualname__ if builtin else f"{error.__module__}.{error.__qualname__}"
