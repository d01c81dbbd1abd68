"""The JSON Schema of the JSON form, made of the model that reads it.

Owns what pydantic does not write so: what a field can be, and that a list of one may be written as the one.
"""

from __future__ import annotations

from typing import Any

from sagas.language.document import FIELD_TYPE, Document
from sagas.language.fields import LIMITS, WORDS

__all__ = ["schema"]


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the JSON form, for editors and other programs."""
    found = _tidied(Document.model_json_schema(mode="validation"))
    numbers = {name: {"type": "number"} for name in LIMITS["number"]}
    sizes = ("minLength", "maxLength", "minItems", "maxItems")
    limits = {**numbers, **{name: {"type": "integer", "minimum": 0} for name in sizes}}
    type_ = {"$ref": "#/$defs/FieldType"}
    properties = {
        "type": type_,
        "map": type_,
        "enum": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "optional": {"type": "boolean"},
        "personal": {"type": "boolean"},
        "default": {"type": ["string", "number", "boolean", "array"]},
        "pattern": {"type": "string"},
        **limits,
    }
    words = "|".join(WORDS)
    found["$defs"]["FieldType"] = {
        "description": "A word, the name of a record, a list of one type, or an object with limits.",
        "anyOf": [
            {"type": "string", "pattern": rf"^({words}|[A-Z][A-Za-z0-9]*)\??$"},
            {"type": "array", "items": type_, "minItems": 1, "maxItems": 1},
            {
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
                "oneOf": [{"required": [name]} for name in ("type", "map", "enum")],
            },
        ],
    }
    for words_ in (found, *found["$defs"].values()):
        for name in (
            "depends_on",
            "depends_on_any_of",
            "done",
            "refused",
            "reads",
            "on",
            "never_on",
            "ends_with",
            "for_outsiders",
            "data",
            "writes",
            "locks",
            "unlocks",
        ):
            if name in words_.get("properties", {}):
                _also_one(words_["properties"][name])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A saga in JSON",
        **found,
    }


def _tidied(found: Any) -> Any:
    """Without what only pydantic needs, and with what a field can be in its places."""
    if isinstance(found, list):
        return [_tidied(part) for part in found if part != {"type": "null"}]
    if not isinstance(found, dict):
        return found
    if found == {"description": FIELD_TYPE}:
        return {"$ref": f"#/$defs/{FIELD_TYPE}"}
    kept = {
        name: _tidied(part)
        for name, part in found.items()
        if name not in {"title", "propertyNames"} and (name, part) != ("default", None)
    }
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    if len(kept.get("anyOf", ())) == 1:
        kept.update(kept.pop("anyOf")[0])
    return kept


def _also_one(property_: dict[str, Any]) -> None:
    """A list of one may be written as the one."""
    several = dict(property_)
    property_.clear()
    property_["anyOf"] = [several["items"], several]
