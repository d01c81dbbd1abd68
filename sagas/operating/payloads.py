"""What events carry, as people may read it: whatever their contract marks as personal is hidden.

Owns what stands in its place. Rather hides too much: what does not fit its contract is not shown where any of
it could be personal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from sagas.core.framework_events import CONTROL_EVENTS, FRAMEWORK_EVENTS
from sagas.core.personal import PERSONAL, is_personal, personal_fields
from sagas.core.saga import Saga

__all__ = ["HIDDEN", "contracts_of", "shown_payload"]

HIDDEN: Final = "(personal: hidden)"
_UNKNOWN: Final = "(no contract here says what is personal in it: hidden)"
_UNREADABLE: Final = "(no JSON: hidden)"

_FRAMEWORK: Final[Mapping[str, type[BaseModel]]] = {
    **{event.event_type: event for event in FRAMEWORK_EVENTS},
    **CONTROL_EVENTS,
}


def contracts_of(*sagas: type[Saga]) -> Mapping[str, type[BaseModel]]:
    """The contract of each event of these sagas, and of the framework's own, by name on the wire."""
    declared = {type_: event for saga in sagas for type_, event in saga.events.items()}
    return {**declared, **_FRAMEWORK}


def shown_payload(contract: type[BaseModel] | None, payload: bytes) -> object:
    """The payload as JSON values, without what is personal; without a contract nothing of it."""
    if contract is None:
        return _UNKNOWN
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return _UNREADABLE
    return _of_model(contract, value)


def _of_model(model: type[BaseModel], value: object) -> object:
    if not any(personal_fields(model)):
        return value
    if not isinstance(value, dict):
        return HIDDEN
    fields = dict(_by_key(model))
    return {key: _of_field(model, fields.get(key), part) for key, part in value.items()}


def _by_key(model: type[BaseModel]) -> list[tuple[str, str]]:
    """How each field may be called on the wire, and its name."""
    return [
        (key, name)
        for name, field in model.model_fields.items()
        for key in (name, field.alias, field.validation_alias, field.serialization_alias)
        if isinstance(key, str)
    ]


def _of_field(model: type[BaseModel], name: str | None, value: object) -> object:
    if name is None or is_personal(model, name):
        return HIDDEN
    return _of_type(model.model_fields[name].annotation, value)


def _of_type(annotation: Any, value: object) -> object:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _of_parts(annotation, value)
    if PERSONAL in getattr(annotation, "__metadata__", ()):
        return HIDDEN
    for part in get_args(annotation):
        value = _of_type(part, value)
    return value


def _of_parts(model: type[BaseModel], value: object) -> object:
    """A part, or many of them in whichever container. A container of a part's own fields is none."""
    match value:
        case list():
            return [_of_parts(model, part) for part in value]
        case dict() if value.keys().isdisjoint(key for key, _ in _by_key(model)):
            return {key: _of_parts(model, part) for key, part in value.items()}
        case None:
            return None
        case _:
            return _of_model(model, value)
