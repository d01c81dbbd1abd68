"""What a service may run now: ``enabled``; what it must emit again: ``unproven``; what must be stored
before anything else: ``must_store``.

All three look at the instance's state, not at which message arrived, so early, late, duplicate and
reordered messages need no special cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sagas.core.definition import STEP_TIMED_OUT, Direction, Join, Role, StepDefinition
from sagas.core.instance import Fact, Instance, SagaStatus

__all__ = [
    "Action",
    "answered_early",
    "awaits_proof",
    "comes_after_the_end",
    "enabled",
    "must_store",
    "unproven",
    "wanted",
]

_FAILURES = frozenset({Role.REFUSED, Role.FAILED, Role.CANCELLED})
_MARKED = frozenset({*_FAILURES, Role.PARKED, Role.RESUMED, Role.AGAIN})


class Action(NamedTuple):
    """A step to be performed, or to be undone, by its service."""

    step: StepDefinition
    direction: Direction
    epoch: int = 0


def enabled(instance: Instance, service: str) -> list[Action]:
    """The actions that ``service`` may run now, in declaration order.

    Nothing while the saga is parked; and once it has ended, only what somebody has asked for once more.
    Only what is known to be published counts (rule 4): a forward step needs its triggers, an undo an
    event that turned, or could have turned, the saga back, and the undo of a step that the saga went on
    without, its otherwise event.
    """
    steps = instance.definition.steps_of.get(service, ())
    match instance.status:
        case SagaStatus.RUNNING:
            forward = [Action(s, Direction.FORWARD) for s in steps if _may_run(instance, s)]
            beside = [Action(s, Direction.UNDO) for s in steps if _may_undo_beside(instance, s)]
            return forward + beside
        case SagaStatus.COMPENSATING if _knows_failure(instance):
            return [
                Action(step, Direction.UNDO)
                for step in steps
                if instance.needs_undo(step) and _at_frontier(instance, step)
            ] + _again(instance, steps)
        case SagaStatus.COMPENSATED | SagaStatus.FAILED:
            return _again(instance, steps)
        case _:
            return []


def _again(instance: Instance, steps: Iterable[StepDefinition]) -> list[Action]:
    """The compensations that are to be run once more, each under the epoch that it was asked for."""
    asked = {f.step for f in instance.facts.values() if f.role is Role.AGAIN and f.published}
    return [
        Action(step, Direction.UNDO, epoch)
        for step in steps
        if step.name in asked and (epoch := instance.owed_epoch(step))
    ]


def wanted(instance: Instance, action: Action) -> bool:
    """Whether the saga still has a use for an action that is under way, parked or not."""
    if action.direction is Direction.UNDO:
        if action.epoch:
            return instance.owed_epoch(action.step) == action.epoch
        return instance.needs_undo(action.step) and not instance.phase.is_terminal
    return instance.phase is SagaStatus.RUNNING and not instance.resolved(action.step)


def _may_run(instance: Instance, step: StepDefinition) -> bool:
    """Whether a step has a handler and triggers, and no outcome yet."""
    return (
        bool(step.triggers)
        and not step.waits
        and not instance.resolved(step)
        and _knows_triggers(instance, step)
    )


def _may_undo_beside(instance: Instance, step: StepDefinition) -> bool:
    """Whether a step that the saga went on without may be undone now (rules 4 and 9a)."""
    if step.otherwise is None or not instance.undo_beside(step):
        return False
    return instance.facts[step.otherwise].published


def _knows_triggers(instance: Instance, step: StepDefinition) -> bool:
    known = (
        (fact := instance.facts.get(trigger)) is not None
        and fact.published
        and instance.accepts(trigger)
        for trigger in step.triggers
    )
    return any(known) if step.join is Join.ANY else all(known)


def _knows_failure(instance: Instance) -> bool:
    return any(
        fact.published and (fact.role in _FAILURES or fact.slot == instance.turned_by)
        for fact in instance.facts.values()
    )


def _at_frontier(instance: Instance, step: StepDefinition) -> bool:
    """Whether no direct or indirect successor still needs undoing, and the triggers can be handed over."""
    by_name = instance.definition.by_name
    return instance.triggered(step) and not any(
        instance.needs_undo(by_name[name]) for name in instance.definition.successors[step.name]
    )


def must_store(before: Instance, after: Instance, fact: Fact, service: str) -> bool:
    """Whether a fold has to be written before any effect and before the acknowledgement (rule 3).

    A newly recorded event always. A published mark only where another message will need it (rule 4): on
    an event that can turn the saga back, on a step's otherwise event by its own service, on an input of
    one of the service's joins, and while parked; and on a parking or a resumption, as its proof.
    """
    slot = fact.slot
    if slot not in before.facts:
        return slot in after.facts
    if before.facts[slot].published:
        return False
    if _decided_beside(before, before.facts[slot]):
        return True
    if before.phase.is_terminal:
        return fact.role is Role.AGAIN
    if before.parked or fact.role in _MARKED or slot == before.turned_by:
        return True
    if fact.role is Role.OTHERWISE and before.definition.by_name[fact.step].service == service:
        return True
    return any(
        len(step.triggers) > 1 and step.join is Join.ALL and fact.type in step.triggers
        for step in before.definition.steps_of.get(service, ())
    )


def _decided_beside(instance: Instance, fact: Fact) -> bool:
    """Whether an event was decided with the answer to a wait in hand that is none of its triggers.

    That answer is told again, and would bring the event back each time: once is enough.
    """
    definition = instance.definition
    if definition.is_plain:
        return False
    cause = next((one for one in instance.facts.values() if one.id == fact.cause), None)
    if cause is None or not definition.by_name[cause.step].waits:
        return False
    return cause.type not in definition.by_name[fact.step].triggers


def unproven(instance: Instance, service: str, message: Fact) -> Iterator[Fact]:
    """The service's recorded events that ``message`` can enable, or was handled with when they were
    decided, and that nothing proves to be on Kafka.

    They are emitted again, with the same id and bytes (rule 5). Proof is another recorded event that
    names the event as its cause. The message that was in hand counts, because whatever wakes a service
    has it run all that is enabled: a duplicate of the start may perform the last step. What a timer or
    an operator made somebody decide, whoever handles a control message emits again; that the deadline
    has passed, whoever handles the message that found it so.
    """
    definition = instance.definition
    causes = {fact.cause for fact in instance.facts.values()}
    for slot, fact in instance.facts.items():
        if slot == message.slot:
            continue
        if fact.id in causes and not answered_early(instance, service, message, fact):
            continue
        if message.role in _ASKING:
            own = definition.by_name[fact.step].service == service and not fact.published
            if awaits_proof(instance, fact) or (own and message.role is Role.WAKE):
                yield fact
        elif definition.by_name[fact.step].service == service:
            if _decided_with(message, fact) or _can_enable(instance, message, slot, fact):
                yield fact
        elif fact.role is Role.CANCELLED and fact.cause == message.id:
            yield fact


_ASKING = frozenset({Role.CONTROL, Role.WAKE})


def _decided_with(message: Fact, fact: Fact) -> bool:
    """Whether the message was in hand when the event was decided, and nobody has had the event in hand.

    Without the second half answers to waits, which are told again, could wake each other without end.
    """
    return fact.cause == message.id and not fact.published


def answered_early(instance: Instance, service: str, message: Fact, fact: Fact) -> bool:
    """Whether the message is what a wait was triggered by, and the wait has its answer.

    The answer may have come, and been passed over by those who follow it, before it counted: the wait's
    service tells it again.
    """
    step = instance.definition.by_name[fact.step]
    return (
        step.waits
        and step.service == service
        and message.type in step.triggers
        and instance.triggered(step)
    )


def awaits_proof(instance: Instance, fact: Fact) -> bool:
    """Whether an event is not known to be on Kafka, and hardly anything would bring it back.

    That is one that no handler returned, and what comes after the end: a timer asks for it until its mark
    is there.
    """
    if fact.published:
        return False
    asked_for = fact.role in _ASKED_FOR or fact.type == STEP_TIMED_OUT
    return asked_for or comes_after_the_end(instance, fact)


def comes_after_the_end(instance: Instance, fact: Fact) -> bool:
    """Whether an ended saga records the event all the same: of a compensation that is run once more, or
    an undo after it was given up.
    """
    if fact.epoch:
        return True
    late = fact.role is Role.UNDONE
    return late and instance.given_up(instance.definition.by_name[fact.step])


_ASKED_FOR = frozenset({Role.OTHERWISE, Role.CANCELLED, Role.PARKED, Role.RESUMED})


def _can_enable(instance: Instance, message: Fact, slot: str, fact: Fact) -> bool:
    definition = instance.definition
    step = definition.by_name[fact.step]
    enables_undo = definition.enables_undo(message.type, message.step, step)
    if message.role is Role.RESUMED:  # it enables whatever the parking held up
        return fact.role not in _ASKED_FOR or slot in instance.parked
    match fact.role:
        case Role.DONE | Role.FAILED | Role.OTHERWISE:
            return message.type in step.triggers
        case Role.REFUSED:
            # Recorded while compensating, it also ends the need for the step's undo: whatever enables
            # that undo may have been what it was handled with. Of failures, only the one that turned
            # the saga back, or two refusals would wake each other without end.
            if message.type in step.triggers:
                return True
            if slot == instance.turned_by or not enables_undo:
                return False
            return message.role not in _FAILURES or message.slot == instance.turned_by
        case Role.UNDONE | Role.UNDO_FAILED if fact.epoch:
            again = message.role is Role.AGAIN and message.step == fact.step
            return again and message.epoch == fact.epoch
        case Role.UNDONE | Role.UNDO_FAILED:
            return enables_undo
        case Role.PARKED:
            if slot not in instance.parked:
                return False
            forward = fact.direction is Direction.FORWARD
            return message.type in step.triggers if forward else enables_undo
        case _:
            return False
