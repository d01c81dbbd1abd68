"""The business key of a saga: one field, of one type, in all of its events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NewType, get_args, get_origin
from uuid import UUID

from sagas.core.events import Event

__all__ = ["problems_of_keys"]

_KEY_TYPES = (str, int, UUID)


def problems_of_keys(saga: str, key: str, types: Sequence[type[Event]]) -> Iterator[str]:
    """What is wrong with the field ``key`` in a saga's events, in words."""
    for type_ in types:
        yield from _problems_of_key(saga, key, type_)
    yield from _problems_of_key_types(saga, key, types)


def _problems_of_key(saga: str, key: str, type_: type[Event]) -> Iterator[str]:
    field = type_.model_fields.get(key)
    if field is None:
        yield (
            f"{saga}: {type_.__qualname__} has no field {key!r}, the saga's key; add {key}: str."
        )
    elif not _is_key_type(field.annotation):
        shown = getattr(field.annotation, "__name__", str(field.annotation))
        yield (
            f"{saga}: the key {type_.__qualname__}.{key} is of type {shown}; "
            f"a key is a str, an int or a UUID, and always there."
        )


def _problems_of_key_types(saga: str, key: str, types: Sequence[type[Event]]) -> Iterator[str]:
    """One instance is one key: 7 and "7" would be the same instance to one handler and not to another."""
    found: dict[str, list[str]] = {}
    for type_ in types:
        field = type_.model_fields.get(key)
        if field is not None and _is_key_type(field.annotation):
            plain = _plain(field.annotation)
            base = next(base for base in _KEY_TYPES if issubclass(plain, base))
            found.setdefault(base.__name__, []).append(type_.__qualname__)
    if len(found) > 1:
        seen = "; ".join(f"{name} in {', '.join(events)}" for name, events in found.items())
        yield f"{saga}: the key {key} is {seen}. Give it one type in all events."


def _plain(annotation: Any) -> Any:
    while isinstance(annotation, NewType) or get_origin(annotation) is Annotated:
        annotation = (
            annotation.__supertype__ if isinstance(annotation, NewType) else get_args(annotation)[0]
        )
    return annotation


def _is_key_type(annotation: Any) -> bool:
    annotation = _plain(annotation)
    return (
        isinstance(annotation, type)
        and issubclass(annotation, _KEY_TYPES)
        and annotation is not bool
    )
