"""Folding one event into an instance: ``evolve``.

Reads the transition table and knows the two conditions for the ends. Never looks at who handles the
event, and never at a clock: the same events in the same order give the same instance, which is what makes
a rebuild from the topics possible.
"""

from __future__ import annotations

from sagas.core.definition import START, Definition, Role, StepDefinition
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.transitions import TRANSITIONS, Arrival, Effect, Situation

__all__ = ["arrival_of", "deadline_after", "evolve", "situation_of"]


def evolve(instance: Instance, fact: Fact) -> Instance:
    """Fold one event.

    An event that is recorded already changes nothing but its published mark.
    """
    slot = fact.slot
    known = instance.facts.get(slot)
    if known is not None:
        if known.published or not fact.published:
            return instance
        marked = known._replace(published=True)
        return instance._replace(facts={**instance.facts, slot: marked})
    effect = _effect(instance, fact)
    if effect is Effect.ABSORB:
        return instance
    recorded = instance._replace(
        facts={**instance.facts, slot: fact},
        deadline_ms=deadline_after(instance.definition, instance.deadline_ms, fact),
    )
    match effect:
        case Effect.PARK:
            return recorded._replace(parked=(*recorded.parked, slot))
        case Effect.RESUME:
            return recorded._replace(parked=())
        case Effect.TURN_BACK:
            return _settle(_turned_back(recorded, slot))
        case _:
            return _settle(_refused_before(instance, recorded))


def deadline_after(definition: Definition, deadline_ms: int | None, fact: Fact) -> int | None:
    """The deadline of an instance, in ms since the epoch, that records one more event: a start that brought
    none along has the saga's own.
    """
    own_ms = definition.deadline_ms
    starts = fact.step == START and fact.role is Role.DONE
    if deadline_ms is not None or own_ms is None or not starts:
        return deadline_ms
    return fact.at_ms + own_ms


def _effect(instance: Instance, fact: Fact) -> Effect:
    """What the table says, but for the outcomes of steps that wait: they come from outside, at any time.

    Of several the first one counts. A refusal turns the saga back once its step is triggered (rule 6).
    """
    effect = TRANSITIONS[situation_of(instance), arrival_of(instance, fact)].effect
    step = instance.definition.by_name[fact.step]
    if step.waits and fact.role in _FROM_OUTSIDE:
        if instance.resolved(step):
            return Effect.ABSORB
        if effect is Effect.TURN_BACK and not instance.triggered(step):
            return Effect.RECORD
    return effect


_FROM_OUTSIDE = frozenset({Role.DONE, Role.REFUSED})


def _refused_before(before: Instance, recorded: Instance) -> Instance:
    """Turn back if a step that waits is triggered now and was refused before."""
    definition: Definition = recorded.definition
    if before.phase is not SagaStatus.RUNNING or definition.is_plain:
        return recorded
    for step in definition.steps:
        if not step.waits or not recorded.refused(step) or not recorded.triggered(step):
            continue
        if step.pivot or not before.past_pivot:
            refusal = next(type_ for type_ in step.refused if type_ in recorded.facts)
            return _turned_back(recorded, refusal)
    return recorded


def situation_of(instance: Instance) -> Situation:
    """The row of the transition table for an instance."""
    if instance.phase is SagaStatus.COMPLETED:
        return Situation.COMPLETED
    if instance.phase.is_terminal:
        return Situation.TURNED_BACK
    if instance.phase is SagaStatus.COMPENSATING:
        return Situation.COMPENSATING
    return Situation.PAST_PIVOT if instance.past_pivot else Situation.BEFORE_PIVOT


def arrival_of(instance: Instance, fact: Fact) -> Arrival:
    """The column of the transition table for an event."""
    if fact.role is Role.REFUSED and instance.definition.by_name[fact.step].pivot:
        return Arrival.PIVOT_REFUSED
    if fact.role is Role.UNDONE or fact.role is Role.UNDO_FAILED:
        return _arrival_of_undo(instance, fact)
    return _ARRIVALS[fact.role]


def _arrival_of_undo(instance: Instance, fact: Fact) -> Arrival:
    step = instance.definition.by_name[fact.step]
    if fact.epoch:
        return Arrival.UNDONE_AGAIN
    if fact.role is Role.UNDO_FAILED:
        return Arrival.UNDO_FAILED
    if instance.given_up(step):
        return Arrival.UNDONE_LATE
    return Arrival.UNDONE_BESIDE if instance.gone_on(step) else Arrival.UNDONE


_ARRIVALS = {
    Role.DONE: Arrival.DONE,
    Role.REFUSED: Arrival.REFUSED,
    Role.OTHERWISE: Arrival.OTHERWISE,
    Role.FAILED: Arrival.FAILED,
    Role.CANCELLED: Arrival.CANCELLED,
    Role.PARKED: Arrival.PARKED,
    Role.RESUMED: Arrival.RESUMED,
    Role.AGAIN: Arrival.AGAIN,
}


def _turned_back(recorded: Instance, slot: str) -> Instance:
    return recorded._replace(
        phase=SagaStatus.COMPENSATING,
        turned_by=slot,
        in_flight=frozenset(
            step.name
            for step in recorded.definition.steps
            if recorded.triggered(step) and not recorded.resolved(step)
        ),
    )


def _settle(instance: Instance) -> Instance:
    """End the saga if nothing is left to be done, or to be undone. What was given up makes it FAILED."""
    steps = instance.definition.steps
    if instance.phase is SagaStatus.RUNNING and all(_at_rest(instance, step) for step in steps):
        return instance._replace(phase=SagaStatus.COMPLETED)
    if instance.phase is SagaStatus.COMPENSATING and not any(map(instance.needs_undo, steps)):
        left = any(instance.given_up(step) and not instance.undone(step) for step in steps)
        return instance._replace(phase=SagaStatus.FAILED if left else SagaStatus.COMPENSATED)
    return instance


def _at_rest(instance: Instance, step: StepDefinition) -> bool:
    """A triggered step is resolved and, if the saga went on without it, undone; and what triggered a
    resolved step is recorded.

    Branches that were not chosen need nothing. The second half matters when events arrive out of order:
    an outcome without its trigger is a hole in what is known.
    """
    if step.waits:  # it may be completed before it is triggered, and on a branch not chosen
        return instance.resolved(step) or not instance.triggered(step)
    return instance.triggered(step) == instance.resolved(step) and not instance.undo_beside(step)
