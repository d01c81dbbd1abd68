"""The names of events, short as they are written and whole as they are on the wire.

Owns the rule: what a task emits is named after the service that does it, version 1 unless another is said;
elsewhere any part of a name may be left out that leaves no doubt.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["EventName", "emitted", "found", "nearest", "outcome_said", "parsed", "shortest"]

_PARTS = re.compile(
    r"(?:(?P<publisher>[a-z][a-z0-9-]*)\.)?(?P<name>[A-Z][A-Za-z0-9]*)(?:\.v(?P<version>[1-9][0-9]*))?"
)


class EventName(NamedTuple):
    """A name with the parts that are said."""

    publisher: str | None
    name: str
    version: str | None

    def fits(self, other: EventName) -> bool:
        """Whether the other one has all that is said here."""
        return all(mine in {None, its} for mine, its in zip(self, other, strict=True))

    def __str__(self) -> str:
        publisher = "" if self.publisher is None else f"{self.publisher}."
        return f"{publisher}{self.name}{'' if self.version is None else f'.v{self.version}'}"


def parsed(text: str) -> EventName | None:
    """The parts of a name; None for what is no name of an event."""
    found_ = _PARTS.fullmatch(text)
    if found_ is None:
        return None
    return EventName(found_["publisher"], found_["name"], found_["version"])


def emitted(text: str, by: str) -> str | None:
    """The whole name of what a task of the service ``by`` emits; None where another service is named."""
    name = parsed(text)
    if name is None or name.publisher not in {None, by}:
        return None
    return str(EventName(by, name.name, name.version or "1"))


def found(text: str, types: Iterable[str]) -> list[str]:
    """The whole names among ``types`` that the text can mean."""
    name = parsed(text)
    known = [(type_, parsed(type_)) for type_ in types]
    return [type_ for type_, whole in known if name and whole and name.fits(whole)]


def shortest(type_: str, types: Sequence[str]) -> str:
    """The shortest text that means this one of ``types`` and no other."""
    whole = parsed(type_) or EventName(None, type_, None)
    ways = (
        whole._replace(publisher=None, version=None),
        whole._replace(publisher=None),
        whole._replace(version=None),
    )
    return next((str(way) for way in ways if found(str(way), types) == [type_]), type_)


def outcome_said(type_: str, *, publisher: bool = False) -> str:
    """A whole name as the task that emits it says it: without version 1 and, if ``publisher`` is not asked
    for, without the service.
    """
    whole = parsed(type_) or EventName(None, type_, None)
    said = whole._replace(version=None) if whole.version == "1" else whole
    return str(said if publisher else said._replace(publisher=None))


def nearest(text: str, known: Iterable[str]) -> str:
    """A hint after an unknown name: the one that was probably meant, or which there are."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(text, names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."
