"""JSON that knows where everything stands: values, and for each of them its line and column.

Owns the reading of text and the names of places: a JSON pointer (RFC 6901), a line and a column, both from
1. Never judges what the values mean. Bounded: what is nested or long beyond reason is a problem like any
other, and nothing but ``Unreadable`` is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sagas.core.errors import DefinitionError

__all__ = ["Json", "Located", "Path", "Problem", "Unreadable", "located", "pointer_of"]

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
Path = tuple[str | int, ...]

_DEPTH_MAX = 50
_NUMBER_MAX = 40
_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_scan: Callable[[str, int], tuple[str, int]] = vars(json.decoder)["scanstring"]
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}


class Problem(NamedTuple):
    """What is wrong, and where: ``pointer`` is empty for the whole document."""

    line: int
    column: int
    pointer: str
    text: str

    def __str__(self) -> str:
        where = f" {self.pointer}" if self.pointer else ""
        return f"{self.line}:{self.column}{where}: {self.text}"


class Unreadable(DefinitionError):
    """A definition that can not be used: ``found`` says everything that is wrong with it, in the order
    of the file.
    """

    def __init__(self, problems: Sequence[Problem], name: str = "The definition") -> None:
        self.found = tuple(sorted(problems))
        listed = "\n".join(f"{name}:{problem}" for problem in self.found)
        super().__init__(listed)


@dataclass(slots=True)
class Located:
    """A document and its places. Names that stand twice in one object are in ``problems``."""

    text: str
    value: Json = None
    values: dict[Path, int] = field(default_factory=dict)
    names: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, text: str, *, name: bool = False) -> Problem:
        """A problem at the value of this path, or at its name; of what is not there, at what should hold
        it.
        """
        while path not in self.values:
            path = path[:-1]
        found = self.names.get(path, 0) if name else self.values[path]
        return self.at(found, path, text)

    def at(self, position: int, path: Path, text: str) -> Problem:
        """A problem at a position of the text, counted in characters from 0."""
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        return Problem(line, column, pointer_of(path), text)


def pointer_of(path: Path) -> str:
    """The path as a JSON pointer."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def located(text: str) -> Located:
    """The document with its places. Raises Unreadable for what is no JSON, at the first wrong character."""
    reader = _Reader(Located(text))
    end = reader.blank(0)
    try:
        reader.out.value, end = reader.value(end, ())
        end = reader.blank(end)
        if end != len(text):
            raise _Wrong(end, "here the document should end; take away what follows.")
    except _Wrong as wrong:
        raise Unreadable([reader.out.at(wrong.position, (), wrong.text)]) from None
    return reader.out


class _Wrong(Exception):
    def __init__(self, position: int, text: str) -> None:
        super().__init__(text)
        self.position = position
        self.text = text


@dataclass(slots=True)
class _Reader:
    out: Located

    def blank(self, at: int) -> int:
        found = _BLANK.match(self.out.text, at)
        return found.end() if found else at

    def value(self, at: int, path: Path) -> tuple[Json, int]:
        if len(path) > _DEPTH_MAX:
            raise _Wrong(at, f"nested more than {_DEPTH_MAX} deep; no definition is.")
        self.out.values[path] = at
        first = self.out.text[at : at + 1]
        if first == '"':
            return self.string(at)
        if first == "{":
            return self.object(at + 1, path)
        if first == "[":
            return self.array(at + 1, path)
        for word, meant in _WORDS.items():
            if self.out.text.startswith(word, at):
                return meant, at + len(word)
        return self.number(at)

    def number(self, at: int) -> tuple[Json, int]:
        found = _NUMBER.match(self.out.text, at)
        if found is None:
            raise _Wrong(at, f"expected a value, and found {self.seen(at)}.")
        if len(found[0]) > _NUMBER_MAX:
            raise _Wrong(at, f"a number of {len(found[0])} characters; no definition needs one.")
        whole = found[1] is None and found[2] is None
        number = int(found[0]) if whole else float(found[0])
        if number in {float("inf"), float("-inf")}:
            raise _Wrong(at, f"the number {found[0]} is too large.")
        return number, found.end()

    def string(self, at: int) -> tuple[str, int]:
        try:
            text, end = _scan(self.out.text, at + 1)
        except json.JSONDecodeError as error:
            raise _Wrong(error.pos, f"a text that is no JSON: {error.msg}.") from None
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Wrong(at, "a text with half of a character; write whole ones.") from None
        return text, end

    def array(self, at: int, path: Path) -> tuple[Json, int]:
        found: list[Json] = []
        at = self.blank(at)
        while not self.out.text.startswith("]", at):
            if found:
                at = self.comma(at, "]")
            value, at = self.value(at, (*path, len(found)))
            found.append(value)
            at = self.blank(at)
        return found, at + 1

    def object(self, at: int, path: Path) -> tuple[Json, int]:
        found: dict[str, Json] = {}
        at, first = self.blank(at), True
        while not self.out.text.startswith("}", at):
            at = at if first else self.comma(at, "}")
            first = False
            if not self.out.text.startswith('"', at):
                raise _Wrong(at, f'expected a name in "quotes", and found {self.seen(at)}.')
            name_at = at
            name, at = self.string(at)
            place = (*path, name)
            at = self.blank(at)
            if not self.out.text.startswith(":", at):
                raise _Wrong(at, f"expected : after the name, and found {self.seen(at)}.")
            if name in found:
                told = f"{name!r} stands twice; a name is used once, and the first one is at "
                first_one = self.out.at(self.out.names[place], place, "")
                told += f"{first_one.line}:{first_one.column}."
                self.out.problems.append(self.out.at(name_at, place, told))
            self.out.names[place] = name_at
            found[name], at = self.value(self.blank(at + 1), place)
            at = self.blank(at)
        return found, at + 1

    def comma(self, at: int, closing: str) -> int:
        if not self.out.text.startswith(",", at):
            raise _Wrong(at, f"expected , or {closing}, and found {self.seen(at)}.")
        after = self.blank(at + 1)
        if self.out.text.startswith(closing, after):
            raise _Wrong(at, f"a comma before {closing}; take it away.")
        return after

    def seen(self, at: int) -> str:
        return repr(self.out.text[at]) if at < len(self.out.text) else "the end"
