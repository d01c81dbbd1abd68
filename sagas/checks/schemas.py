"""Whether what is written by one JSON Schema can be read by another one.

Knows what pydantic writes of a model: objects, arrays, scalars, ``anyOf``, ``enum``, ``const``, ``$ref`` and
the usual bounds. What it does not know it takes to fit: it looks for mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["misfits"]

Schema = Mapping[str, Any]

_DEPTH_MAX = 12
"""A schema that holds itself is looked into no deeper."""

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def misfits(written: Schema, read: Schema) -> Iterator[str]:
    """What a reader needs and a writer does not give, in words that name the field.

    A writer gives all of its fields, also those with a default; unknown ones are ignored by readers.
    """
    roots = _Roots(written, read)
    yield from dict.fromkeys(_object("", roots.of(written, 0), roots.of(read, 1), roots, 0))


class _Roots:
    """Where ``$ref`` is looked up on both sides."""

    def __init__(self, written: Schema, read: Schema) -> None:
        self._definitions = (written.get("$defs", {}), read.get("$defs", {}))

    def of(self, schema: Schema, side: int) -> Schema:
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        found = self._definitions[side].get(name)
        return found if found is not None else schema


def _object(path: str, written: Schema, read: Schema, roots: _Roots, depth: int) -> Iterator[str]:
    given, wanted = written.get("properties", {}), read.get("properties", {})
    for name in read.get("required", ()):
        if name not in given:
            yield f"{path}{name} is needed, and not given"
    for name, schema in wanted.items():
        if name in given:
            yield from _value(f"{path}{name}", given[name], schema, roots, depth + 1)


def _value(path: str, written: Schema, read: Schema, roots: _Roots, depth: int) -> Iterator[str]:
    written, read = roots.of(written, 0), roots.of(read, 1)
    if depth > _DEPTH_MAX:
        return
    if "anyOf" in written:
        for one in written["anyOf"]:
            yield from _value(path, one, read, roots, depth)
        return
    if "anyOf" in read:
        tries = [list(_value(path, written, one, roots, depth)) for one in read["anyOf"]]
        if all(tries):
            yield f"{path} is {_kind(written)}, and {_kinds(read['anyOf'], roots)} is expected"
        return
    if not _same_kind(written, read):
        yield f"{path} is {_kind(written)}, and {_kind(read)} is expected"
        return
    yield from _choices(path, written, read)
    yield from _limits(path, written, read)
    if "properties" in read:
        yield from _object(f"{path}.", written, read, roots, depth)
    if isinstance(read.get("items"), dict) and isinstance(written.get("items"), dict):
        yield from _value(f"{path}[]", written["items"], read["items"], roots, depth + 1)


def _same_kind(written: Schema, read: Schema) -> bool:
    kind, wanted = written.get("type"), read.get("type")
    if kind is None or wanted is None or kind == wanted:
        return True
    return (kind, wanted) == ("integer", "number")


def _choices(path: str, written: Schema, read: Schema) -> Iterator[str]:
    given, known = _values(written), _values(read)
    if known is None:
        return
    if given is None:
        yield f"{path} may be anything, and one of {_shown(known)} is expected"
    elif unknown := [one for one in given if one not in known]:
        yield f"{path} may be {_shown(unknown)}, which is not known"


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _limits(path: str, written: Schema, read: Schema) -> Iterator[str]:
    if _values(written) is not None:
        return
    for word in (*_LOWER, *_UPPER):
        wanted, given = read.get(word), written.get(word)
        if wanted is None:
            continue
        narrower = given is None or (given < wanted if word in _LOWER else given > wanted)
        if narrower:
            yield f"{path} has {word} {wanted}, which is not kept by who writes it"
    if read.get("pattern") is not None and written.get("pattern") != read["pattern"]:
        yield f"{path} has the pattern {read['pattern']}, which is not kept by who writes it"


def _kind(schema: Schema) -> str:
    return str(schema.get("type", "something else"))


def _kinds(schemas: list[Schema], roots: _Roots) -> str:
    return " or ".join(dict.fromkeys(_kind(roots.of(one, 1)) for one in schemas))


def _shown(values: list[Any]) -> str:
    return ", ".join(map(repr, values))
