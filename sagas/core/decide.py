"""What follows from the outcome of an action: ``decide``.

Pure: takes the instance that is stored *now* (which may have moved on since the action began) and says
what to record and emit. Never runs a handler, and never asks for the time.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from sagas.core.definition import (
    SAGA_EXPIRED,
    SAGA_PARKED,
    START,
    STEP_FAILED,
    UNDO_FAILED,
    Direction,
    Role,
    StepDefinition,
    StepKind,
    UndoPolicy,
)
from sagas.core.enabled import Action
from sagas.core.instance import Instance, SagaStatus

__all__ = ["ActionResult", "Decision", "Emission", "ResultKind", "decide", "park"]


class ResultKind(StrEnum):
    """How an action ended."""

    RETURNED = "returned"
    """The handler returned an event."""
    FAILED = "failed"
    """The handler raised, and its attempts are used up: the effect is unknown."""
    REJECTED = "rejected"
    """The participant's tombstone rejected a forward action: there is no effect."""
    SUPERSEDED = "superseded"
    """An undo under a higher epoch is recorded by the participant: there is nothing to decide."""
    EXPIRED = "expired"
    """The deadline has passed, so a forward action was not begun."""
    POSTPONED = "postponed"
    """The handler raised, or had raised before, and another message will bring its next attempt."""


class ActionResult(NamedTuple):
    """The end of an action; ``type`` is the returned event's type on the wire. ``written`` is the former
    version of it in which it is told, and empty elsewhere.
    """

    kind: ResultKind
    type: str | None = None
    written: str = ""


class Emission(NamedTuple):
    """An event to be recorded and emitted."""

    type: str
    step: str
    role: Role
    direction: Direction
    assumed: bool = False
    epoch: int = 0


class Decision(NamedTuple):
    """``emission`` None: nothing new, the outcome is known or comes too late.

    ``late_success``: the action took effect although the saga has already undone, or will never undo,
    its step. The effect is to be undone at once, before the message is acknowledged (rule 11).
    """

    emission: Emission | None = None
    late_success: bool = False


def decide(instance: Instance, action: Action, result: ActionResult) -> Decision:
    """Decide what the outcome of an action means for the instance as it is stored now."""
    if action.direction is Direction.UNDO:
        return _decide_undo(instance, action, result)
    match result.kind:
        case ResultKind.EXPIRED:
            return _decide_expired(instance)
        case ResultKind.RETURNED if result.type in action.step.done:
            return _decide_done(instance, action.step, result.type)
        case ResultKind.RETURNED if result.type == action.step.otherwise:
            return _decide_otherwise(instance, action.step, assumed=False)
        case ResultKind.RETURNED if result.type is not None:
            return _decide_refused(instance, action.step, result.type)
        case _:
            return _decide_failed(instance, action.step)


def _decide_expired(instance: Instance) -> Decision:
    if instance.phase is not SagaStatus.RUNNING or instance.past_pivot:
        return Decision()
    return Decision(Emission(SAGA_EXPIRED, START, Role.CANCELLED, Direction.FORWARD))


def _decide_done(instance: Instance, step: StepDefinition, type_: str) -> Decision:
    """What a done event means, by where its step stands.

    | the step is …              | then                                                   |
    |-----------------------------|--------------------------------------------------------|
    | undone already              | undone again at once, with the outcome now known       |
    | done (the same, or another) | nothing: the first one stands (rule 10)                |
    | refused                     | the effect should not be: undone at once               |
    | failed, or unresolved       | recorded; while compensating its undo is enabled next  |
    | of a saga that has ended    | undone at once, unless the saga completed with it      |
    """
    if step.undone is not None and instance.undone(step):
        return Decision(late_success=True)
    if instance.done(step):
        return Decision()
    if instance.refused(step) or instance.phase.is_terminal:
        return Decision(late_success=step.undone is not None)
    return Decision(Emission(type_, step.name, Role.DONE, Direction.FORWARD))


def _decide_refused(instance: Instance, step: StepDefinition, type_: str) -> Decision:
    if instance.resolved(step) or instance.phase.is_terminal or instance.undone(step):
        return Decision()
    return Decision(Emission(type_, step.name, Role.REFUSED, Direction.FORWARD))


def _decide_otherwise(instance: Instance, step: StepDefinition, *, assumed: bool) -> Decision:
    """The saga goes on without the step. While compensating there is no going on (rule 9a)."""
    if instance.phase is not SagaStatus.RUNNING or instance.resolved(step):
        return Decision()
    type_ = step.otherwise or ""
    return Decision(Emission(type_, step.name, Role.OTHERWISE, Direction.FORWARD, assumed))


def _decide_failed(instance: Instance, step: StepDefinition) -> Decision:
    """A step that may still turn the saga back fails; any other parks it. While compensating the step is
    in flight anyway: its undo follows, with an unknown outcome.
    """
    if instance.phase is not SagaStatus.RUNNING or instance.resolved(step):
        return Decision()
    if step.otherwise is not None:
        return _decide_otherwise(instance, step, assumed=True)
    compensatable = instance.definition.kinds[step.name] is StepKind.COMPENSATABLE
    if compensatable and not instance.past_pivot:
        return Decision(Emission(STEP_FAILED, step.name, Role.FAILED, Direction.FORWARD))
    return park(instance, step, Direction.FORWARD)


def _decide_undo(instance: Instance, action: Action, result: ActionResult) -> Decision:
    """Where the policy is to go on, one that failed for good is given up; but not beside a running saga,
    whose end would hide it (rule 13).
    """
    step = action.step
    if step.undone is None or result.kind is ResultKind.SUPERSEDED:
        return Decision()
    if action.epoch:
        return _decide_again(instance, action, result)
    returned = result.kind is ResultKind.RETURNED
    late = returned and instance.given_up(step)
    if instance.undone(step) or (instance.phase.is_terminal and not late):
        return Decision()
    if instance.phase is SagaStatus.RUNNING and not instance.undo_beside(step):
        return Decision()
    if returned:
        return Decision(Emission(step.undone, step.name, Role.UNDONE, Direction.UNDO))
    if instance.given_up(step):
        return Decision()
    goes_on = step.if_undo_fails is UndoPolicy.CONTINUE
    if goes_on and instance.phase is SagaStatus.COMPENSATING:
        return Decision(Emission(UNDO_FAILED, step.name, Role.UNDO_FAILED, Direction.UNDO))
    return park(instance, step, Direction.UNDO)


def _decide_again(instance: Instance, action: Action, result: ActionResult) -> Decision:
    """A compensation that was run once more. It neither parks the saga nor changes how it has ended."""
    step, epoch = action.step, action.epoch
    if instance.owed_epoch(step) != epoch:
        return Decision()
    if result.kind is ResultKind.RETURNED:
        type_, role = step.undone or "", Role.UNDONE
    else:
        type_, role = UNDO_FAILED, Role.UNDO_FAILED
    return Decision(Emission(type_, step.name, role, Direction.UNDO, epoch=epoch))


def park(instance: Instance, step: StepDefinition, direction: Direction) -> Decision:
    """Park the saga for a step, unless it is parked for it already."""
    parked = (instance.facts[slot] for slot in instance.parked)
    if any(fact.step == step.name and fact.direction is direction for fact in parked):
        return Decision()
    return Decision(Emission(SAGA_PARKED, step.name, Role.PARKED, direction))
