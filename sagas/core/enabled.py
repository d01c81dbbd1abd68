"""What a service may run now: ``enabled``; what it must emit again: ``unproven``; what must be stored
before anything else: ``must_store``.

All three look at the instance's state, not at which message arrived, so early, late, duplicate and
reordered messages need no special cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sagas.core.definition import Direction, Join, Role, StepDefinition
from sagas.core.instance import Fact, Instance, SagaStatus

__all__ = ["Action", "enabled", "must_store", "unproven"]


class Action(NamedTuple):
    """A step to be performed, or to be undone, by its service."""

    step: StepDefinition
    direction: Direction
    epoch: int = 0


def enabled(instance: Instance, service: str) -> list[Action]:
    """The actions that ``service`` may run now, in declaration order.

    Nothing while the saga is parked or has ended. Only what is known to be published counts (rule 4): a
    forward step needs its triggers, an undo an event that turned, or could have turned, the saga back.
    """
    steps = instance.definition.steps_of.get(service, ())
    match instance.status:
        case SagaStatus.RUNNING:
            return [
                Action(step, Direction.FORWARD)
                for step in steps
                if step.triggers and not instance.resolved(step) and _knows_triggers(instance, step)
            ]
        case SagaStatus.COMPENSATING if _knows_failure(instance):
            return [
                Action(step, Direction.UNDO)
                for step in steps
                if instance.needs_undo(step) and _at_frontier(instance, step)
            ]
        case _:
            return []


def _knows_triggers(instance: Instance, step: StepDefinition) -> bool:
    known = (
        (fact := instance.facts.get(trigger)) is not None and fact.published
        for trigger in step.triggers
    )
    return any(known) if step.join is Join.ANY else all(known)


def _knows_failure(instance: Instance) -> bool:
    return any(
        fact.published and (fact.role in _FAILURES or fact.slot == instance.turned_by)
        for fact in instance.facts.values()
    )


_FAILURES = frozenset({Role.REFUSED, Role.FAILED})


def _at_frontier(instance: Instance, step: StepDefinition) -> bool:
    """Whether no direct or indirect successor still needs undoing, and the triggers can be handed over."""
    by_name = instance.definition.by_name
    return instance.triggered(step) and not any(
        instance.needs_undo(by_name[name]) for name in instance.definition.successors[step.name]
    )


def must_store(before: Instance, after: Instance, fact: Fact, service: str) -> bool:
    """Whether a fold has to be written before any effect and before the acknowledgement (rule 3).

    A newly recorded event always. A published mark only where another message will need it (rule 4): on
    an event that can turn the saga back, on an input of one of the service's joins, and while parked.
    """
    slot = fact.slot
    if slot not in before.facts:
        return slot in after.facts
    if before.facts[slot].published or before.phase.is_terminal:
        return False
    if before.parked or fact.role in _FAILURES or slot == before.turned_by:
        return True
    return any(
        len(step.triggers) > 1 and step.join is Join.ALL and fact.type in step.triggers
        for step in before.definition.steps_of.get(service, ())
    )


def unproven(instance: Instance, service: str, message: Fact) -> Iterator[Fact]:
    """The service's recorded events that ``message`` can enable and that nothing proves to be on Kafka.

    They are emitted again, with the same id and bytes (rule 5). Proof is another recorded event that
    names the event as its cause.
    """
    definition = instance.definition
    causes = {fact.cause for fact in instance.facts.values()}
    for slot, fact in instance.facts.items():
        if (
            slot != message.slot
            and fact.id not in causes
            and definition.by_name[fact.step].service == service
            and _can_enable(instance, message, slot, fact)
        ):
            yield fact


def _can_enable(instance: Instance, message: Fact, slot: str, fact: Fact) -> bool:
    definition = instance.definition
    step = definition.by_name[fact.step]
    undo_enablers = definition.undo_enablers.get(step.name, frozenset())
    match fact.role:
        case Role.DONE | Role.FAILED:
            return message.type in step.triggers
        case Role.REFUSED:
            # Recorded while compensating, it also ends the need for the step's undo: whatever enables
            # that undo may have been what it was handled with. Of failures, only the one that turned
            # the saga back, or two refusals would wake each other without end.
            if message.type in step.triggers:
                return True
            if slot == instance.turned_by or message.type not in undo_enablers:
                return False
            return message.role not in _FAILURES or message.slot == instance.turned_by
        case Role.UNDONE:
            return message.type in undo_enablers
        case Role.PARKED:
            if slot not in instance.parked:
                return False
            forward = fact.direction is Direction.FORWARD
            return message.type in (step.triggers if forward else undo_enablers)
        case Role.RESUMED:
            return False
