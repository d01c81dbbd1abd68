"""From the fields of a declaration to pydantic models, where there is no module of them.

Owns what each word of a field is in Python. The JSON Schema of an event that is declared in JSON is that of
the class which ``sagas generate`` would write for it, by construction.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping
from types import GenericAlias
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, create_model

from sagas.language.declaration import Declaration, Fields
from sagas.language.fields import FieldType, NoDefault
from sagas.language.graph import in_order

__all__ = ["LIMITS", "schemas_of"]

_WORDS: Final[Mapping[str, Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "date": dt.date,
    "date-time": dt.datetime,
    "time": dt.time,
    "uuid": uuid.UUID,
    "decimal": decimal.Decimal,
}
LIMITS: Final[Mapping[str, str]] = {
    "minLength": "min_length",
    "minItems": "min_length",
    "minimum": "ge",
    "maximum": "le",
    "maxLength": "max_length",
    "maxItems": "max_length",
    "multipleOf": "multiple_of",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "pattern": "pattern",
}
"""The limits of a field, as pydantic's ``Field`` calls them."""


def schemas_of(declaration: Declaration) -> dict[str, dict[str, Any]]:
    """The JSON Schema of each event, former versions too, by its name on the wire."""
    models: dict[str, Any] = dict(_WORDS)
    before = {
        name: [one for kind in fields.values() for one in kind.records()]
        for name, fields in declaration.records.items()
    }
    for name in in_order(before):
        models[name] = _model(name, declaration.records[name], models)
    key = FieldType(declaration.key_type)
    return {
        type_: _model(
            type_.split(".")[1],
            {declaration.definition.key: key, **fields},
            models,
        ).model_json_schema()
        for type_, fields in (
            *((one, declaration.events.get(one, {})) for one in declaration.event_types()),
            *declaration.formers.items(),
        )
    }


def _model(name: str, fields: Fields, models: Mapping[str, Any]) -> type[BaseModel]:
    given: dict[str, Any] = {field: _field(kind, models) for field, kind in fields.items()}
    return create_model(name, **given)


def _field(kind: FieldType, models: Mapping[str, Any]) -> tuple[Any, Any]:
    type_ = _type(kind, models)
    if kind.optional:
        return type_ | None, None
    return type_, ... if isinstance(kind.default, NoDefault) else kind.default


def _type(kind: FieldType, models: Mapping[str, Any]) -> Any:
    plain = _plain(kind, models)
    limits: dict[str, Any] = {LIMITS[name]: value for name, value in kind.limits}
    return Annotated[plain, Field(**limits)] if limits else plain


def _plain(kind: FieldType, models: Mapping[str, Any]) -> Any:
    if kind.word == "list" and kind.of is not None:
        return GenericAlias(tuple, (_type(kind.of, models), ...))
    if kind.word == "map" and kind.of is not None:
        return GenericAlias(dict, (str, _type(kind.of, models)))
    return Literal[kind.choices] if kind.word == "enum" else models[kind.word]
