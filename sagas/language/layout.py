"""How Python is laid out: as ``ruff format`` would, so that a formatter leaves it alone.

Owns the few shapes that a generated module is made of. Never knows what they mean. A shape that does not fit
on its line is broken into a line for each of its parts, with a comma after the last one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Call", "Layout", "columns", "literal_of", "quoted"]

_INDENT = "    "


@dataclass(frozen=True, slots=True)
class Call:
    """Something in brackets: ``opening``, parts, ``closing``. ``spread`` breaks it in any case."""

    opening: str
    parts: tuple[Part, ...]
    closing: str = ")"
    spread: bool = False

    def flat(self) -> str:
        """All on one line."""
        return f"{self.opening}{', '.join(_flat(part) for part in self.parts)}{self.closing}"


Part = str | Call


def _flat(part: Part) -> str:
    return part if isinstance(part, str) else part.flat()


@dataclass(frozen=True, slots=True)
class Layout:
    """Lines of at most ``width`` characters, where there is a way."""

    width: int = 88

    def lines(self, before: str, part: Part, after: str = "", depth: int = 0) -> list[str]:
        """``before``, the part and ``after``, indented by ``depth`` levels."""
        indent = _INDENT * depth
        whole = f"{indent}{before}{_flat(part)}{after}"
        if isinstance(part, str) or not part.parts:
            return [whole]
        if columns(whole) <= self.width and not part.spread:
            return [whole]
        inner = [line for one in part.parts for line in self.lines("", one, ",", depth + 1)]
        return [f"{indent}{before}{part.opening}", *inner, f"{indent}{part.closing}{after}"]

    def field(
        self, name: str, part: Part, default: str = "", *, optional: bool = False
    ) -> list[str]:
        """An annotated name in the body of a class; what is ``optional`` is None where it is absent."""
        union, value = (" | None", "None") if optional else ("", default)
        head = f"{_INDENT}{name}: {_flat(part)}{union}"
        after = f" = {value}" if value else ""
        if columns(head + after) <= self.width:
            return [head + after]
        inner = f"{_INDENT}{_INDENT}{value}"
        breakable = value not in {"", "()"} and columns(inner) <= self.width
        if breakable and columns(f"{head} = (") <= self.width:
            return [f"{head} = (", inner, f"{_INDENT})"]
        if not optional:
            return self.lines(f"{name}: ", part, after, 1)
        inner = f"{_INDENT}{_INDENT}{_flat(part)} | None"
        middle = [inner]
        if columns(inner) > self.width:
            middle = [*self.lines("", part, "", 2), f"{_INDENT}{_INDENT}| None"]
        return [f"{_INDENT}{name}: (", *middle, f"{_INDENT}){after}"]

    def function(
        self, name: str, parameters: Sequence[tuple[str, Sequence[str]]], returns: Sequence[str]
    ) -> list[str]:
        """The head of a coroutine at the margin."""
        flat = ", ".join(f"{one}: {' | '.join(types)}" for one, types in parameters)
        head, result = f"async def {name}(", " | ".join(returns)
        if columns(whole := f"{head}{flat}) -> {result}:") <= self.width:
            return [whole]
        lines = [head]
        if columns(line := f"{_INDENT}{flat}") <= self.width:
            lines.append(line)
        else:
            for one, types in parameters:
                lines.extend(self._union(f"{_INDENT}{one}: ", types))
        if columns(ending := f") -> {result}:") <= self.width or len(returns) == 1:
            return [*lines, ending]
        if columns(line := f"{_INDENT}{result}") <= self.width:
            return [*lines, ") -> (", line, "):"]
        first, *rest = returns
        return [*lines, ") -> (", f"{_INDENT}{first}", *(f"{_INDENT}| {one}" for one in rest), "):"]

    def _union(self, before: str, types: Sequence[str]) -> list[str]:
        if columns(flat := f"{before}{' | '.join(types)},") <= self.width:
            return [flat]
        first, *rest = types
        lines = [f"{before}{first}", *(f"{_INDENT}| {one}" for one in rest)]
        return [*lines[:-1], f"{lines[-1]},"]


def columns(text: str) -> int:
    """How wide the text is: some letters take two columns, and some marks none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) != 0 for one in text)


def literal_of(value: object) -> str:
    """A value as formatters write it: a text in double quotes, the power of a float without plus."""
    if isinstance(value, str):
        return quoted(value)
    return repr(value).replace("e+", "e") if isinstance(value, float) else repr(value)


def quoted(text: str) -> str:
    """A text as a literal: in double quotes unless that takes more backslashes."""
    body = repr(text)
    inner = body[1:-1]
    if body[0] == "'":
        inner = inner.replace("\\'", "'")
    if text.count('"') <= text.count("'"):
        return '"' + inner.replace('"', '\\"') + '"'
    return "'" + (inner if "'" not in text else inner.replace("'", "\\'")) + "'"
