"""What timers and operators ask for, and what follows from it: ``decide_control``.

They ask by control messages, which are never recorded; what a participant decides when it handles one is
an event like any other (rule 6). Pure, so that a dry run shows exactly what would be emitted.
"""

from __future__ import annotations

from dataclasses import dataclass

from sagas.core.decide import Emission, park
from sagas.core.definition import (
    DEADLINE,
    SAGA_CANCELLED,
    SAGA_EXPIRED,
    SAGA_RESUMED,
    START,
    STEP_TIMED_OUT,
    UNDO_AGAIN,
    Direction,
    Role,
    StepDefinition,
    StepKind,
)
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.timers import timers_of

__all__ = [
    "Again",
    "Cancel",
    "Compensate",
    "Control",
    "Park",
    "Resume",
    "RetryNow",
    "Skip",
    "TimerDue",
    "Wake",
    "decide_control",
]


@dataclass(frozen=True, slots=True)
class TimerDue:
    """The timer ``name`` was due at ``due_ms``."""

    name: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody wants the saga to turn back."""


@dataclass(frozen=True, slots=True)
class Resume:
    """An operator lets a parked saga go on: what failed is tried again."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Every participant is to look at what is enabled for it. Nothing is decided."""


@dataclass(frozen=True, slots=True)
class RetryNow:
    """An operator has what is open tried now: a parked saga is resumed, and everybody is woken."""


@dataclass(frozen=True, slots=True)
class Compensate:
    """An operator gives a saga up: it turns back and, if it is parked, goes on from there."""


@dataclass(frozen=True, slots=True)
class Again:
    """An operator has a compensation run once more, under an absolute ``epoch`` from 1 (rule 14).

    Of a step that was undone, or given up, of a saga that has turned back, ended or not. Asked for twice
    under one epoch, it runs once.
    """

    step: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Skip:
    """An operator has done, or undone, the step that a saga is parked for, and lets the saga go on.

    ``type`` is the event that says so: one of the step's done events, or its undone event.
    """

    type: str


@dataclass(frozen=True, slots=True)
class Park:
    """A message of the saga became a dead letter: somebody has to look."""


Control = TimerDue | Again | Cancel | Compensate | Resume | RetryNow | Skip | Park | Wake


def decide_control(instance: Instance, control: Control) -> Emission | None:
    """The next event to record and emit for a control message, or None: nothing (more) is to be done.

    To be asked again after each: skipping a step also resumes the saga. A message that comes too late,
    or twice, finds nothing to do.
    """
    match control:
        case TimerDue():
            return _timer_due(instance, control)
        case Again():
            return _again(instance, control)
        case Cancel():
            return _cancel(instance)
        case Resume() | RetryNow():
            return _resume(instance)
        case Compensate():
            return _compensate(instance)
        case Skip():
            return _skip(instance, control)
        case Park():
            return _park(instance)
        case Wake():
            return None


def _timer_due(instance: Instance, timer: TimerDue) -> Emission | None:
    due_ms = timers_of(instance).get(timer.name)
    if due_ms is None or due_ms > timer.due_ms:
        return None  # it was cleared, or moved
    if timer.name == DEADLINE:
        return Emission(SAGA_EXPIRED, START, Role.CANCELLED, Direction.FORWARD)
    step = instance.definition.by_name.get(timer.name)
    return None if step is None else _timed_out(instance, step)


def _timed_out(instance: Instance, step: StepDefinition) -> Emission | None:
    """What follows when a step's time is up.

    | a step that is …               | then                                            |
    |--------------------------------|-------------------------------------------------|
    | with an otherwise              | the saga goes on along it; the effect is unknown |
    | compensatable                  | the saga turns back; the effect is unknown      |
    | the pivot, or retriable        | the saga is parked                              |
    """
    if step.otherwise is not None:
        assumed = not step.waits
        return Emission(step.otherwise, step.name, Role.OTHERWISE, Direction.FORWARD, assumed)
    compensatable = instance.definition.kinds[step.name] is StepKind.COMPENSATABLE
    if compensatable and not instance.past_pivot:
        return Emission(STEP_TIMED_OUT, step.name, Role.FAILED, Direction.FORWARD)
    return park(instance, step, Direction.FORWARD).emission


def _cancel(instance: Instance) -> Emission | None:
    if instance.phase is not SagaStatus.RUNNING or instance.past_pivot:
        return None
    return Emission(SAGA_CANCELLED, START, Role.CANCELLED, Direction.FORWARD)


def _compensate(instance: Instance) -> Emission | None:
    """A parked saga that can not turn back stays parked: resuming it would only try again what failed."""
    cancelled = _cancel(instance)
    if cancelled is not None or instance.phase is not SagaStatus.COMPENSATING:
        return cancelled
    return _resume(instance)


def _resume(instance: Instance) -> Emission | None:
    if instance.status is not SagaStatus.PARKED:
        return None
    return Emission(SAGA_RESUMED, START, Role.RESUMED, Direction.FORWARD)


def _park(instance: Instance) -> Emission | None:
    if instance.phase.is_terminal:
        return None
    return park(instance, instance.definition.start, Direction.FORWARD).emission


def _again(instance: Instance, again: Again) -> Emission | None:
    step = instance.definition.by_name.get(again.step)
    if step is None or step.undone is None or not _has_been_undone(instance, step):
        return None
    if again.epoch <= instance.again_epoch(step):
        return None
    return Emission(UNDO_AGAIN, step.name, Role.AGAIN, Direction.UNDO, epoch=again.epoch)


def _has_been_undone(instance: Instance, step: StepDefinition) -> bool:
    """Whether the step's compensation has run to its end, well or not, in a saga that turned back."""
    if instance.phase in {SagaStatus.RUNNING, SagaStatus.COMPLETED}:
        return False
    return instance.undone(step) or instance.given_up(step)


def _skip(instance: Instance, skip: Skip) -> Emission | None:
    """The outcome, then the resumption. A saga that is parked for something else stays parked."""
    outcome = instance.definition.outcome_of.get(skip.type)
    if outcome is None or outcome.role not in _SKIPPABLE:
        return None
    if skip.type in instance.facts:
        return _resume(instance)
    undo = outcome.role is Role.UNDONE
    direction = Direction.UNDO if undo else Direction.FORWARD
    parked: list[Fact] = [instance.facts[slot] for slot in instance.parked]
    if not any(fact.step == outcome.step and fact.direction is direction for fact in parked):
        return None
    return Emission(skip.type, outcome.step, outcome.role, direction)


_SKIPPABLE = frozenset({Role.DONE, Role.UNDONE})
