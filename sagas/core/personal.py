"""Fields that say something about a person: ``email: Personal[str]``.

Owns the mark, and finding it in an event, however deep. A field with something marked in it is left out of
the event's ``repr``, and so of logs and errors that show the event; ``sagas check`` finds where it would be
told all the same. It is in the payload like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeVar, final, get_args

from pydantic import BaseModel

__all__ = ["PERSONAL", "Personal", "is_personal", "personal_fields"]

T = TypeVar("T")


@final
class _Mark:
    def __repr__(self) -> str:
        return "PERSONAL"


PERSONAL: Final = _Mark()
"""What stands in the metadata of a marked field."""

Personal = Annotated[T, PERSONAL]
"""``Personal[str]`` is a ``str`` to whoever uses it, and to pydantic."""


def is_personal(model: type[BaseModel], name: str) -> bool:
    """Whether the whole field is marked."""
    field = model.model_fields.get(name)
    return field is not None and PERSONAL in field.metadata


def personal_fields(model: type[BaseModel]) -> Iterator[str]:
    """The marked fields, those of parts as ``customer.email``, each once, in the order of declaration."""
    yield from dict.fromkeys(_of_model(model, frozenset()))


def _of_model(model: type[BaseModel], above: frozenset[type[BaseModel]]) -> Iterator[str]:
    if model in above:
        return
    for name, field in model.model_fields.items():
        if is_personal(model, name):
            yield name
        else:
            yield from _of_type(name, field.annotation, above | {model})


def _of_type(name: str, annotation: Any, above: frozenset[type[BaseModel]]) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from (f"{name}.{part}" for part in _of_model(annotation, above))
    elif PERSONAL in getattr(annotation, "__metadata__", ()):
        yield name
    for part in get_args(annotation):
        yield from _of_type(name, part, above)
