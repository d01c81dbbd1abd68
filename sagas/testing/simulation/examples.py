"""An event made from nothing but its schema: what a simulation starts with if nobody says anything else.

Owns which value stands for a type. Never guesses about a constraint: what the model refuses is said.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, ValidationError

from sagas.core.errors import ContractViolation
from sagas.core.events import Event

__all__ = ["example", "key_value"]

_E = TypeVar("_E", bound=Event)

_VALUES: Mapping[type, object] = {
    bool: True,
    int: 1,
    float: 1.0,
    str: "x",
    bytes: b"x",
    Decimal: Decimal(1),
    UUID: UUID(int=1),
    datetime: datetime(2026, 1, 1, 12, tzinfo=UTC),
    date: date(2026, 1, 1),
    time: time(12),
    timedelta: timedelta(seconds=1),
}


def example(event: type[_E], **given: object) -> _E:
    """An event with one of everything that it requires, ``given`` fields as they are.

    Raises ContractViolation where a field's type or constraint is beyond this: give ``starts=`` then.
    """
    values = {
        name: _value(field.annotation)
        for name, field in event.model_fields.items()
        if field.is_required() and name not in given
    }
    try:
        return event.model_validate({**values, **given})
    except ValidationError as error:
        raise ContractViolation(
            f"No example of {event.__name__} can be made from its schema: {error}. Make the events "
            "yourself: starts=lambda number: ..., answers={...}."
        ) from error


def key_value(event: type[Event], key: str, number: int) -> object:
    """The business key of the instance with this number, of the type that the event wants."""
    annotation = _plain(event.model_fields[key].annotation)
    if annotation is int:
        return number
    return UUID(int=number) if annotation is UUID else f"s-{number}"


def _plain(annotation: Any) -> Any:
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def _value(annotation: Any) -> object:
    annotation = _plain(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return arguments[0]
    if origin in {Union, types.UnionType}:
        return None if type(None) in arguments else _value(arguments[0])
    if origin is tuple:
        return tuple(_value(one) for one in arguments if one is not Ellipsis)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {_value(arguments[0]): _value(arguments[1])}
    if isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet):
        return [_value(arguments[0])]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return next(iter(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {
            name: _value(field.annotation)
            for name, field in annotation.model_fields.items()
            if field.is_required()
        }
    for known, value in _VALUES.items():
        if isinstance(annotation, type) and issubclass(annotation, known):
            return value
    return None
