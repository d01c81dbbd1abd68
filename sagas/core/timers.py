"""Which timers a saga has set: a function of its record, so that a rebuild sets the same ones.

Knows no clock: times are those of the recorded events.
"""

from __future__ import annotations

from collections.abc import Mapping

from sagas.core.definition import DEADLINE, Direction, Role, StepDefinition
from sagas.core.enabled import awaits_proof, comes_after_the_end
from sagas.core.instance import Instance, SagaStatus

__all__ = ["PROOF", "PROOF_AFTER_MS", "RETRY", "retry_name", "timers_of"]

PROOF = "proof"
"""The name of the timer that has events emitted again which are not known to be on Kafka."""

PROOF_AFTER_MS = 10_000

RETRY = "retry/"
"""What the names of notes about failed attempts, and of the timers that go with them, begin with. Such a
timer is no function of the record: it is set with the note, and wakes whoever is to try again.
"""


def retry_name(step: str, direction: Direction, epoch: int = 0) -> str:
    """The name of the note about the attempts at an action."""
    return f"{RETRY}{step}/{direction}/{epoch}" if epoch else f"{RETRY}{step}/{direction}"


def timers_of(instance: Instance) -> Mapping[str, int]:
    """When each timer is due, in milliseconds since the epoch, by name: a step's, or ``DEADLINE``.

    A step's time runs from the event that triggered it, from the resumption of a parked saga, or from
    its handler's latest heartbeat, while the saga is running and not parked. The deadline bounds the way
    to the pivot. Undos have no timer.
    """
    due = {}
    proof_ms = _proof_ms(instance)
    if proof_ms is not None:
        due[PROOF] = proof_ms
    if instance.phase is not SagaStatus.RUNNING or instance.parked:
        return due
    if instance.deadline_ms is not None and not instance.past_pivot:
        due[DEADLINE] = instance.deadline_ms
    for step in instance.definition.timed:
        if not instance.resolved(step) and instance.triggered(step):
            beat_ms = instance.heartbeats.get(step.name, 0)
            due[step.name] = max(_since_ms(instance, step), beat_ms) + (step.timeout_ms or 0)
    return due


def _proof_ms(instance: Instance) -> int | None:
    """When to ask for events that may not be on Kafka. Another that names one as its cause proves it."""
    facts = instance.facts.values()
    asked = [fact for fact in facts if not fact.published and awaits_proof(instance, fact)]
    if instance.phase.is_terminal:
        asked = [fact for fact in asked if comes_after_the_end(instance, fact)]
    if not asked:
        return None
    causes = {fact.cause for fact in facts}
    unproven = [fact.at_ms for fact in asked if fact.id not in causes]
    return min(unproven) + PROOF_AFTER_MS if unproven else None


def _since_ms(instance: Instance, step: StepDefinition) -> int:
    """When an open step was triggered, or the saga resumed."""
    facts = instance.facts
    since = [facts[trigger].at_ms for trigger in step.triggers if instance.accepts(trigger)]
    since += [fact.at_ms for fact in facts.values() if fact.role is Role.RESUMED]
    return max(since)
