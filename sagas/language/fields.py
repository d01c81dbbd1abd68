"""What the fields of events and records can be: a word, a list, a map, a choice of texts, and limits.

Owns the JSON form of a field and its reading. ``FieldType`` is the one value in between: the same for a
field that was written in JSON and for one that was found in a pydantic model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pydantic import StringConstraints, TypeAdapter
from pydantic_core import SchemaError

from sagas.language.places import Json

__all__ = [
    "LIMITS",
    "NO_DEFAULT",
    "RECORD",
    "WORDS",
    "FieldType",
    "NoDefault",
    "field_type",
    "in_order_of_words",
    "said",
]


class NoDefault:
    """The type of ``NO_DEFAULT``."""

    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Final = NoDefault()
"""Of a field that has to be there."""

WORDS: Final = (
    *("string", "integer", "number", "boolean"),
    *("date", "date-time", "time", "uuid", "decimal"),
)
RECORD: Final = re.compile(r"[A-Z][A-Za-z0-9]*")

_SIZES: Final = {"string": ("minLength", "maxLength"), "list": ("minItems", "maxItems")}
_RANGE: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
LIMITS: Final[Mapping[str, tuple[str, ...]]] = {
    "string": (*_SIZES["string"], "pattern"),
    "list": _SIZES["list"],
    "integer": _RANGE,
    "number": _RANGE,
}
"""Which limits fit which kind of field, by the words of JSON Schema."""

_FORMS: Final = (
    'a word such as "string" or "integer?", the name of a record, a list such as ["string"], or an object '
    'such as {"type": "string", "maxLength": 20}'
)


@dataclass(frozen=True, slots=True)
class FieldType:
    """``word`` is one of ``WORDS``, the name of a record, or ``list``, ``map`` or ``enum``; ``of`` is what a
    list or a map holds, ``choices`` the texts of an enum. ``optional`` may be absent or null, ``personal``
    says something about a person.
    """

    word: str
    of: FieldType | None = None
    choices: tuple[str, ...] = ()
    limits: tuple[tuple[str, int | float | str], ...] = ()
    optional: bool = False
    default: Json | NoDefault | tuple[()] = NO_DEFAULT
    personal: bool = False

    def records(self) -> Iterator[str]:
        """The records that it names."""
        if self.of is not None:
            yield from self.of.records()
        elif RECORD.fullmatch(self.word):
            yield self.word

    @property
    def has_default(self) -> bool:
        """Whether the field may be absent."""
        return self.optional or not isinstance(self.default, NoDefault)


def field_type(given: object) -> FieldType:
    """The field as JSON says it. Raises ValueError in words."""
    if isinstance(given, str):
        return _word(given)
    if isinstance(given, list):
        if len(given) != 1:
            raise ValueError(f'{given!r} is no list of one type; write it as ["string"]')
        return FieldType("list", of=_inner(given[0]))
    if isinstance(given, dict):
        return _detailed(dict(given))
    raise ValueError(f"{given!r} is no type of a field; write {_FORMS}")


def _word(given: str) -> FieldType:
    word = given.removesuffix("?")
    if word not in WORDS and not RECORD.fullmatch(word):
        raise ValueError(
            f"{given!r} is no type of a field; there are {', '.join(WORDS)}, records by their names, lists "
            'such as ["string"], and a ? after what may be absent'
        )
    return FieldType(word, optional=word != given)


def _inner(given: object) -> FieldType:
    found = field_type(given)
    if found.has_default:
        raise ValueError("what a list or a map holds is there, and has no default; leave it out")
    return found


def _detailed(given: dict[str, object]) -> FieldType:
    heads = given.keys() & {"type", "map", "enum"}
    if len(heads) != 1:
        raise ValueError(f"{given!r} needs one of type, map and enum; write {_FORMS}")
    head = heads.pop()
    value = given.pop(head)
    optional, default = given.pop("optional", False), given.pop("default", NO_DEFAULT)
    personal = given.pop("personal", False)
    if not isinstance(personal, bool):
        raise ValueError(f"personal is {personal!r}; write true, or leave it out")  # noqa: TRY004 - pydantic takes it
    if not isinstance(optional, bool):
        raise ValueError(f"optional is {optional!r}; write true, or leave it out")  # noqa: TRY004 - pydantic takes it
    match head:
        case "map":
            found = FieldType("map", of=_inner(value))
        case "enum":
            found = FieldType("enum", choices=_choices(value))
        case _:
            found = field_type(value)
    if found.limits or found.personal or not isinstance(found.default, NoDefault):
        raise ValueError("a type in a type; write all that is said of it in one object")
    limits = dict(_limit(found.word, *one) for one in given.items())
    found = replace(
        found,
        limits=in_order_of_words(limits),
        optional=found.optional or optional,
        personal=personal,
    )
    return found if isinstance(default, NoDefault) else _with_default(found, default)


def in_order_of_words(
    limits: Mapping[str, int | float | str],
) -> tuple[tuple[str, int | float | str], ...]:
    """Limits as ``FieldType`` has them: in the order in which they are read."""
    words = [name for names in LIMITS.values() for name in names]
    return tuple(sorted(limits.items(), key=lambda one: words.index(one[0])))


def _choices(given: object) -> tuple[str, ...]:
    fits = isinstance(given, list) and given and all(isinstance(one, str) for one in given)
    if not isinstance(given, list) or not fits or len(set(given)) != len(given):
        raise ValueError(f'enum is {given!r}; write different texts, such as ["CARD", "CASH"]')
    return tuple(given)


def _limit(word: str, name: str, value: object) -> tuple[str, int | float | str]:
    fitting = LIMITS.get(word, ())
    if name not in fitting:
        takes = f"it takes {', '.join(fitting)}" if fitting else "it takes no limits"
        raise ValueError(f"{word} knows no {name!r}; {takes}, default, optional and personal")
    if name == "pattern":
        return name, _pattern(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if (name not in _RANGE or word == "integer") and not whole:
        raise ValueError(f"{name} is {value!r}; write a whole number")
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; write a number")  # noqa: TRY004 - pydantic takes it
    if value < 0 and name not in _RANGE:
        raise ValueError(f"{name} is {value!r}; write a number from 0")
    if name == "multipleOf" and value <= 0:
        raise ValueError(f"{name} is {value!r}; write a number above 0")
    return name, value


def _pattern(value: object) -> str:
    """A pattern as pydantic's engine reads it."""
    if not isinstance(value, str):
        raise ValueError(f"pattern is {value!r}; write a regular expression")  # noqa: TRY004 - pydantic takes it
    try:
        TypeAdapter(Annotated[str, StringConstraints(pattern=value)])
    except SchemaError as error:
        why = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"pattern is {value!r}; it is no regular expression: {why}") from None
    return value


def _with_default(found: FieldType, default: object) -> FieldType:
    fits = {
        "string": isinstance(default, str),
        "boolean": isinstance(default, bool),
        "integer": isinstance(default, int) and not isinstance(default, bool),
        "number": isinstance(default, int | float) and not isinstance(default, bool),
        "enum": default in found.choices,
        "list": default == [],
    }
    if not fits.get(found.word, False):
        raise ValueError(
            f"the default {default!r} does not fit {found.word}; texts, numbers, booleans and enums have "
            "defaults of their kind, lists have [], and others none"
        )
    if found.optional:
        raise ValueError("what may be absent is null then; leave out the default, or the ?")
    value = () if default == [] else default
    assert value is None or isinstance(value, str | int | float | tuple)  # noqa: S101 - as looked at above
    return replace(found, default=value)


def said(field: FieldType) -> Json:
    """The shortest JSON of a field: ``field_type`` of it is the field again."""
    plain = not field.limits and not field.personal and isinstance(field.default, NoDefault)
    if field.word == "list" and field.of is not None and plain and not field.optional:
        return [said(field.of)]
    if field.word not in {"list", "map", "enum"} and plain:
        return f"{field.word}?" if field.optional else field.word
    found: dict[str, Json] = {}
    if field.of is not None:
        inner = said(field.of)
        found = {"map": inner} if field.word == "map" else {"type": [inner]}
    elif field.word == "enum":
        found = {"enum": list(field.choices)}
    else:
        found = {"type": field.word}
    found.update(field.limits)
    if field.personal:
        found["personal"] = True
    if field.optional:
        found["optional"] = True
    if isinstance(field.default, tuple):
        found["default"] = []
    elif not isinstance(field.default, NoDefault):
        found["default"] = field.default
    return found
