"""The notes beside a row: failed attempts and heartbeats, as text.

Owns both encodings. A note is a hint: one that can not be read, as another version may have written it,
counts as none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from sagas.core.timers import RETRY
from sagas.wire.envelope import TIME_MS_MAX

__all__ = ["AttemptNote", "attempt_note", "encode_attempts", "heartbeats_of"]

_MOMENT = re.compile(r"[0-9]{1,14}")


class AttemptNote(NamedTuple):
    """How the attempts at an action went.

    ``attempts`` have failed, the last one at ``at_ms`` with ``error``; the next one is due at
    ``next_ms``, all in milliseconds since the epoch. ``elsewhere``: a record in a retry topic brings it,
    so nobody else needs to. ``resumed`` is how often the saga had been resumed: what was noted before a
    resumption counts no more.
    """

    attempts: int
    at_ms: int
    next_ms: int
    error: str
    elsewhere: bool = False
    resumed: int = 0


def encode_attempts(note: AttemptNote) -> str:
    """The note as text."""
    return json.dumps(note, ensure_ascii=False, separators=(",", ":"))


def attempt_note(
    notes: Mapping[str, str], name: str, *, resumed: int | None = None
) -> AttemptNote | None:
    """The note of that name, if there is one, it can be read, and no resumption came since."""
    text = notes.get(name)
    if text is None:
        return None
    try:
        attempts, at_ms, next_ms, error, elsewhere, noted = json.loads(text)
        note = AttemptNote(
            int(attempts), int(at_ms), int(next_ms), str(error), bool(elsewhere), int(noted)
        )
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    if not (0 <= note.at_ms < TIME_MS_MAX and 0 <= note.next_ms < TIME_MS_MAX):
        return None
    return note if resumed in {None, note.resumed} else None


def heartbeats_of(notes: Mapping[str, str]) -> Mapping[str, int]:
    """When the handlers of steps last said that they are at work, by step."""
    return {
        name: int(text)
        for name, text in notes.items()
        if not name.startswith(RETRY) and _MOMENT.fullmatch(text)
    }
