"""Dead letters in words and for scripts. Owns how bytes from anywhere are shown: nothing in them moves a
terminal's cursor or counts as markup.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sagas.operating.letters import Parked, safe

if TYPE_CHECKING:
    from sagas.runtime.dead_letter_box import Letter, Resolution

__all__ = [
    "json_of",
    "print_letters",
    "print_parked",
    "print_shown",
    "shown_json",
]

_VALUE_SHOWN = 4_000
"""So much of a value is for people; scripts get all of it."""


def json_of(letter: Letter) -> dict[str, object]:
    """A letter for scripts, without what the record holds."""
    from sagas.operating.moments import rfc3339

    return {
        "id": letter.id,
        "service": letter.service,
        "event": _known(letter.event_type),
        "saga": _known(letter.saga),
        "saga_id": _known(letter.saga_id),
        "reason": safe(letter.reason),
        "exception": safe(letter.exception),
        "at": rfc3339(letter.time_ms),
        "value_bytes": None if letter.value is None else len(letter.value),
        "omitted": letter.omitted,
        "resolution": _resolution_json(letter.resolution),
    }


def _resolution_json(resolution: Resolution | None) -> dict[str, object] | None:
    from sagas.operating.moments import rfc3339

    if resolution is None:
        return None
    return {
        "how": resolution.how.value,
        "by": safe(resolution.by),
        "why": safe(resolution.why),
        "at": rfc3339(resolution.time_ms),
    }


def _known(text: str | None) -> str | None:
    return None if text is None else safe(text)


def shown_json(letter: Letter) -> dict[str, object]:
    """A letter for scripts with the record: as text that is safe to print, and the value exactly."""
    value = letter.value
    return json_of(letter) | {
        "key": None if letter.key is None else safe(letter.key),
        "headers": [{"name": safe(name), "value": safe(text)} for name, text in letter.headers],
        "value": None if value is None else safe(value, lines=True),
        "value_base64": None if value is None else base64.b64encode(value).decode(),
    }


def print_letters(letters: Sequence[Letter], *, resolved: bool) -> None:
    """A line for each letter."""
    from sagas.cli.output import console, recent_time, table

    rows = table("id", "service", "when", "event", "saga id", "reason", *(["state"] * resolved))
    ids = rows.columns[0]
    ids.no_wrap = True  # to be copied; a min_width would push the reason out of the terminal
    for letter in letters:
        state = "open" if letter.resolution is None else letter.resolution.how.value
        cells = (
            safe(letter.id),
            safe(letter.service),
            recent_time(letter.time_ms),
            safe(letter.event_type),
            safe(letter.saga_id),
            safe(letter.reason),
            *((state,) if resolved else ()),
        )
        rows.add_row(*cells)
    console().print(rows)


def print_shown(letter: Letter) -> None:
    """One letter with all that it holds."""
    from sagas.cli.output import local_time

    pairs = [
        ("id", safe(letter.id)),
        ("service", safe(letter.service)),
        ("when", local_time(letter.time_ms)),
        ("reason", safe(letter.reason)),
        ("exception", safe(letter.exception)),
    ]
    done = letter.resolution
    if done is not None:
        told = f"{done.how.value} by {done.by}, {local_time(done.time_ms)}: {done.why}"
        pairs.append(("state", safe(told)))
    if letter.omitted:
        pairs.append(
            ("record", "not in the letter; it is on its topic for as long as that keeps it")
        )
    else:
        pairs.append(("key", "none" if letter.key is None else safe(letter.key)))
        pairs.extend((f"  {safe(name)}", safe(value)) for name, value in letter.headers)
    width = max(len(name) for name, _ in pairs) + 2
    _print("".join(f"{name:<{width}}{text}\n" for name, text in pairs))
    if letter.value is not None and not letter.omitted:
        text = safe(letter.value, lines=True)
        _print("\n" + text[:_VALUE_SHOWN] + "\n")
        if len(text) > _VALUE_SHOWN:
            _print(f"({len(letter.value)} bytes; --output json shows all of them.)\n")


def print_parked(parked: Sequence[Parked] | None) -> None:
    """What is to be done about sagas that stand still; None where nobody knows."""
    if parked is None:
        _print("Whether their sagas are parked is not known, for Redis does not answer.\n")
    for one in parked or ():
        _print(f"{safe(one.saga_id)} is parked: `{safe(one.command)}` lets it go on.\n")


def _print(text: str) -> None:
    from sagas.cli.output import console

    console().print(text, end="", markup=False, soft_wrap=True)
