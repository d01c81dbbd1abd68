"""Sentences with moments in them: how an explanation is told, whatever shows it.

Owns the parts of a sentence. Knows no time zone: whoever shows a sentence says how a moment is written,
a terminal as text, a page as an element with the exact value behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["About", "Moment", "Part", "Sentence", "listed", "say"]


class About(StrEnum):
    """What a sentence is about, so that a page can put each in its place."""

    HEAD = "head"
    """Where the saga stands: the first sentence says the most important thing alone."""
    SERVICE = "service"
    """A service that it waits for: workers, lag, last error."""
    ATTEMPT = "attempt"
    """What is tried again."""
    TIME = "time"
    """A timer, the deadline, and what happens then."""
    UNDOING = "undoing"
    """What is undone, what remains to be undone."""
    REASON = "reason"
    """Why it is parked, or has turned back."""
    END = "end"
    """How and when it has ended."""
    LETTER = "letter"
    """A message of it that could not be handled."""
    STUCK = "stuck"
    """Why it counts as stuck."""
    TABLE = "table"
    """How the saga table stands, or what was looked at."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment within a sentence, in milliseconds since the epoch."""

    ms: int


Part = str | Moment


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, from its first letter to its full stop."""

    about: About
    parts: tuple[Part, ...]

    def text(self, moment: Callable[[int], str]) -> str:
        """The sentence as text; ``moment`` writes milliseconds since the epoch for the reader."""
        return "".join(part if isinstance(part, str) else moment(part.ms) for part in self.parts)


def say(about: About, *parts: Part) -> Sentence:
    """A sentence of these parts."""
    return Sentence(about, parts)


def listed(names: Iterable[str], word: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``; ``nothing`` of nothing."""
    *most, last = [*names] or ["nothing"]
    return f"{', '.join(most)} {word} {last}" if most else last
