"""The timers of an instance, with what happens when each is due. Owns the words for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sagas.core.controls import TimerDue, decide_control
from sagas.core.definition import Role
from sagas.core.instance import Instance
from sagas.core.timers import PROOF, RETRY, timers_of
from sagas.operating.words import short_name
from sagas.ports import Timer

__all__ = ["TimerLine", "lines_of", "unrecorded"]


@dataclass(frozen=True, slots=True)
class TimerLine:
    """A timer that is set. ``event`` is what a participant would record, ``then`` says it in words."""

    saga: str
    saga_id: str
    timer: str
    due_ms: int
    then: str
    event: str | None = None


def unrecorded(timer: Timer) -> TimerLine:
    """What happens with a timer of which the record knows nothing."""
    if timer.name.startswith(RETRY):  # set with a note: the message in the retry topic may be gone
        return TimerLine(*timer, "it is tried again, if it was not yet")
    return TimerLine(*timer, "nothing: it is cleared")


def lines_of(instance: Instance) -> list[TimerLine]:
    """The timers of an instance, those due first on top."""
    lines = [
        TimerLine(instance.definition.saga, instance.saga_id, name, due_ms, *_then(instance, name))
        for name, due_ms in timers_of(instance).items()
    ]
    return sorted(lines, key=lambda line: line.due_ms)


def _then(instance: Instance, name: str) -> tuple[str, str | None]:
    if name == PROOF:
        return "events that may not be on Kafka are emitted again", None
    emission = decide_control(instance, TimerDue(name, timers_of(instance)[name]))
    if emission is None:
        return "nothing", None
    match emission.role:
        case Role.OTHERWISE:
            return f"the saga goes on along {short_name(emission.type)}", emission.type
        case Role.PARKED:
            return "the saga parks", emission.type
        case _:
            return "the saga compensates", emission.type
