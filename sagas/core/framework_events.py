"""The events that the framework itself emits, on the control topic of their saga.

Owns their payloads. They carry no business key: which instance they belong to stands in the
headers, as for every event.
"""

from __future__ import annotations

from pydantic import Field, JsonValue

from sagas.core.controls import (
    Again,
    Cancel,
    Compensate,
    Control,
    Resume,
    RetryNow,
    Skip,
    TimerDue,
    Wake,
)
from sagas.core.definition import (
    SAGA_CANCELLED,
    SAGA_EXPIRED,
    SAGA_PARKED,
    SAGA_RESUMED,
    STEP_FAILED,
    STEP_TIMED_OUT,
    UNDO_AGAIN,
    UNDO_FAILED,
    Direction,
)
from sagas.core.events import Event
from sagas.core.timers import RETRY

__all__ = [
    "CONTROL_EVENTS",
    "FRAMEWORK_EVENTS",
    "AgainRequested",
    "CancelRequested",
    "CompensateRequested",
    "ResumeRequested",
    "RetryRequested",
    "SagaCancelled",
    "SagaExpired",
    "SagaParked",
    "SagaResumed",
    "SkipRequested",
    "StepFailed",
    "StepTimedOut",
    "TimerFired",
    "UndoAgain",
    "UndoFailed",
    "WakeRequested",
    "control_of",
    "wakes",
]


class StepFailed(Event, type=STEP_FAILED):
    """A compensatable step failed for good: its outcome is unknown, and the saga turns back."""

    step: str
    error: str
    attempts: int


class StepTimedOut(Event, type=STEP_TIMED_OUT):
    """A compensatable step's time is up: its outcome is unknown, and the saga turns back."""

    step: str


class SagaExpired(Event, type=SAGA_EXPIRED):
    """The deadline has passed before the pivot was triggered: the saga turns back."""


class SagaCancelled(Event, type=SAGA_CANCELLED):
    """Somebody has cancelled the saga before the pivot was triggered: it turns back."""

    by: str
    why: str


class SagaParked(Event, type=SAGA_PARKED):
    """A retriable step or a compensation failed for good: the saga waits for an operator.

    ``escalated``: the step's declaration says that somebody has to be called (``if_undo_fails=ESCALATE``).
    """

    step: str
    direction: Direction
    error: str
    attempts: int
    escalated: bool = False


class SagaResumed(Event, type=SAGA_RESUMED):
    """An operator let a parked saga go on."""

    by: str
    why: str


class UndoFailed(Event, type=UNDO_FAILED):
    """A compensation failed for good, and the saga goes on without it: its effect is left."""

    step: str
    error: str
    attempts: int


class UndoAgain(Event, type=UNDO_AGAIN):
    """An operator has a compensation run once more; the header ``ce_sagaepoch`` says under which epoch."""

    step: str
    by: str
    why: str


FRAMEWORK_EVENTS: tuple[type[Event], ...] = (
    StepFailed,
    StepTimedOut,
    SagaExpired,
    SagaCancelled,
    SagaParked,
    SagaResumed,
    UndoFailed,
    UndoAgain,
)
"""Every saga knows these without declaring them."""


class TimerFired(Event, type="sagas.TimerFired.v1"):
    """Control: the timer ``name`` was due at ``due_ms``, milliseconds since the epoch."""

    name: str
    due_ms: int


class CancelRequested(Event, type="sagas.CancelRequested.v1"):
    """Control: somebody wants the saga to turn back."""

    by: str
    why: str


class ResumeRequested(Event, type="sagas.ResumeRequested.v1"):
    """Control: an operator lets a parked saga go on; what failed is tried again."""

    by: str
    why: str


class RetryRequested(Event, type="sagas.RetryRequested.v1"):
    """Control: an operator has everything that is open tried now, also what waits for another attempt."""

    by: str
    why: str


class CompensateRequested(Event, type="sagas.CompensateRequested.v1"):
    """Control: an operator gives a saga up before its pivot, whether it is parked or not."""

    by: str
    why: str


class AgainRequested(Event, type="sagas.AgainRequested.v1"):
    """Control: an operator has a step's compensation run once more, under this epoch."""

    step: str
    epoch: int = Field(ge=1, lt=1_000_000)
    by: str
    why: str


class WakeRequested(Event, type="sagas.WakeRequested.v1"):
    """Control: every participant is to look at what is enabled for it."""

    by: str
    why: str


class SkipRequested(Event, type="sagas.SkipRequested.v1"):
    """Control: an operator has done, or undone, what the saga is parked for.

    ``event`` names the done or undone event on the wire, ``payload`` is its content.
    """

    event: str
    payload: dict[str, JsonValue]
    by: str
    why: str


CONTROL_EVENTS: dict[str, type[Event]] = {
    event.event_type: event
    for event in (
        TimerFired,
        AgainRequested,
        CancelRequested,
        CompensateRequested,
        ResumeRequested,
        RetryRequested,
        SkipRequested,
        WakeRequested,
    )
}
"""What the control topic of a saga carries. They ask; they are never recorded (rule 6)."""


def control_of(event: Event) -> Control | None:
    """What a control message asks for; None for any other event."""
    match event:
        case TimerFired():
            return TimerDue(event.name, event.due_ms)
        case AgainRequested():
            return Again(event.step, event.epoch)
        case CancelRequested():
            return Cancel()
        case CompensateRequested():
            return Compensate()
        case ResumeRequested():
            return Resume()
        case RetryRequested():
            return RetryNow()
        case WakeRequested():
            return Wake()
        case SkipRequested():
            return Skip(event.event)
        case _:
            return None


def wakes(event: Event) -> bool:
    """Whether whoever handles a control message also runs what is enabled for it."""
    retries = isinstance(event, TimerFired) and event.name.startswith(RETRY)
    return retries or isinstance(event, RetryRequested | WakeRequested)
