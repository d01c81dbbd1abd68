"""What stands in the table's keys besides stored bytes: members of timers, and notes.

Owns both encodings. Never talks to Redis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic_core import from_json

from sagas.core.errors import ContractViolation
from sagas.ports import Timer

__all__ = ["SEPARATOR", "earliest", "member_of", "notes_of", "score_of"]

SEPARATOR: Final = "\x1f"
_SCORE_MAX: Final = 2**53


def notes_of(stored: bytes) -> Mapping[str, str]:
    """The notes of a row. They are hints: what can not be read counts as none."""
    try:
        found = from_json(stored)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: note for name, note in found.items() if isinstance(note, str)}


def member_of(saga: str, saga_id: str, name: str) -> str:
    """A timer as a member of its bucket. The id may hold anything: it stands between the other two."""
    if SEPARATOR in name:
        raise ContractViolation(
            f"The timer name {name!r} has U+001F, which separates it from the id."
        )
    return f"{saga}{SEPARATOR}{saga_id}{SEPARATOR}{name}"


def score_of(score: float) -> int:
    """A time in milliseconds, also where somebody else has written an endless one."""
    return int(max(-_SCORE_MAX, min(score, _SCORE_MAX)))


def earliest(found: list[tuple[int, bytes]], limit: int) -> list[Timer]:
    """The first timers by due, equal ones by member, decoded. What is no timer of ours is left out."""
    found.sort()
    timers = []
    for due_ms, member in found[:limit]:
        saga, _, rest = member.decode(errors="replace").partition(SEPARATOR)
        saga_id, separator, name = rest.rpartition(SEPARATOR)
        if separator and "\ufffd" not in saga_id:
            timers.append(Timer(saga, saga_id, name, due_ms))
    return timers
