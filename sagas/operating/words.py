"""A saga's situation in words: what it waits for, and why it is parked or has turned back.

Owns the words, for ``list`` and ``show`` alike. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from sagas.core.definition import SAGA_PARKED, STEP_FAILED, UNDO_FAILED, Direction
from sagas.core.errors import WORDS_MAX
from sagas.core.instance import SagaStatus
from sagas.core.printable import printable
from sagas.operating.moments import rfc3339
from sagas.runtime.views import Retrying, SagaView, Waiting

__all__ = [
    "Reason",
    "awaited_words",
    "reason_of",
    "reason_words",
    "retrying_json",
    "retrying_words",
    "short_name",
    "waiting_json",
    "waiting_text",
    "waiting_words",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """The event that parked the saga or turned it back, its payload, and what that means."""

    event: str
    payload: object
    text: str

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        return {"event": self.event, "payload": self.payload, "text": self.text}


def reason_of(view: SagaView, shown: Callable[[str, str], object] | None = None) -> Reason | None:
    """Why the saga is parked or has turned back; None for one that goes, or went, its way.

    ``shown`` says what of an event's payload may be told; all of it if left out.
    """
    if view.reason is None:
        return None
    event, _, text = view.reason.partition(" ")
    payload: object
    try:
        payload = (shown or _all_of_it)(event, text) if text else None
    except (ValueError, RecursionError):
        payload = text
    return Reason(event, payload, reason_words(event, payload))


def _all_of_it(_event: str, payload: str) -> object:
    return json.loads(payload)


def reason_words(event: str, payload: object) -> str:
    """What the event that parked a saga, or turned it back, means: printable and bounded."""
    return printable(_explained(event, payload), chars_max=WORDS_MAX)


def _explained(event: str, payload: object) -> str:
    fields = payload if isinstance(payload, dict) else {}
    if event in {STEP_FAILED, SAGA_PARKED, UNDO_FAILED}:
        step = fields.get("step", "a step")
        undo = fields.get("direction") == Direction.UNDO or event == UNDO_FAILED
        attempts = fields.get("attempts", "?")
        times = "attempt" if attempts == 1 else "attempts"
        named = f"the undo of {step}" if undo else str(step)
        if attempts == 0:  # nobody has tried: its time was up, or its message is a dead letter
            return f"{named}: {fields.get('error', '?')}"
        return f"{named} failed for good after {attempts} {times}: {fields.get('error', '?')}"
    told = ", ".join(f"{name}={_plain(value)}" for name, value in fields.items())
    return f"{short_name(event)} ({told})" if told else short_name(event)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def short_name(event: str) -> str:
    """``StockReserved`` of ``inventory.StockReserved.v1``."""
    parts = event.split(".")
    return parts[1] if len(parts) > 1 else event


def waiting_words(view: SagaView) -> str:
    """What the saga waits for; nothing for one that has ended."""
    if view.has_ended:
        return ""
    awaited = awaited_words(view)
    if view.status is SagaStatus.PARKED:
        reason = reason_of(view)
        return f"an operator: {awaited if reason is None else reason.text}"
    return awaited


def awaited_words(view: SagaView) -> str:
    """The steps that would come next, and by whom."""
    return ", ".join(map(waiting_text, view.waits_for))


def waiting_text(waiting: Waiting) -> str:
    """One step that would come next, and by whom."""
    undo = "undo of " if waiting.direction is Direction.UNDO else ""
    return f"{undo}{waiting.step} ({waiting.service})"


def retrying_words(retrying: Retrying, attempts: int, due: str) -> str:
    """``attempt 3 of 5 of reserve_stock (inventory) … in 8 s; the last error was …``."""
    undo = "the undo of " if retrying.direction is Direction.UNDO else ""
    if not retrying.attempts:  # nothing has failed: there was no room
        reason = printable(retrying.error, chars_max=WORDS_MAX)
        return f"{undo}{retrying.step} ({retrying.service}) {due}: {reason}"
    return (
        f"attempt {retrying.attempts + 1} of {attempts} of {undo}{retrying.step} ({retrying.service}) "
        f"{due}; the last error: {printable(retrying.error, chars_max=WORDS_MAX)}"
    )


def retrying_json(retrying: Retrying, attempts: int) -> dict[str, object]:
    """The same for scripts."""
    return {
        "step": retrying.step,
        "service": retrying.service,
        "direction": retrying.direction.value,
        "attempts_failed": retrying.attempts,
        "attempts": attempts,
        "last_error": retrying.error,
        "failed_at": rfc3339(retrying.failed_at_ms),
        "next_at": rfc3339(retrying.next_at_ms),
    }


def waiting_json(view: SagaView) -> list[dict[str, str]]:
    """The same for scripts."""
    return [
        {"step": one.step, "service": one.service, "direction": one.direction.value}
        for one in view.waits_for
    ]
