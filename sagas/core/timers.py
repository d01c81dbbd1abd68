"""Which timers a saga has set: a function of its record, so that a rebuild sets the same ones.

Knows no clock: times are those of the recorded events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagas.core.definition import DEADLINE, START, Direction, Role, StepDefinition
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
    asked_for = list(_to_be_proven(instance))
    if asked_for:
        due[PROOF] = min(asked_for) + PROOF_AFTER_MS
    if instance.status is not SagaStatus.RUNNING:
        return due
    if instance.deadline_ms is not None and not instance.past_pivot:
        due[DEADLINE] = instance.deadline_ms
    for step in instance.definition.steps:
        if step.timeout_ms is not None and step.name != START:
            since_ms = _open_since_ms(instance, step)
            if since_ms is not None:
                beat_ms = instance.heartbeats.get(step.name, 0)
                due[step.name] = max(since_ms, beat_ms) + step.timeout_ms
    return due


def _to_be_proven(instance: Instance) -> Iterator[int]:
    """When each event was decided that is to be asked for. Another that names it as its cause proves it."""
    ended = instance.phase.is_terminal
    for fact in instance.facts.values():
        if awaits_proof(instance, fact) and (not ended or comes_after_the_end(instance, fact)):
            proven = any(other.cause == fact.id for other in instance.facts.values())
            if not proven:
                yield fact.at_ms


def _open_since_ms(instance: Instance, step: StepDefinition) -> int | None:
    if instance.resolved(step) or not instance.triggered(step):
        return None
    facts = instance.facts
    since = [facts[trigger].at_ms for trigger in step.triggers if instance.accepts(trigger)]
    since += [fact.at_ms for fact in facts.values() if fact.role is Role.RESUMED]
    return max(since)
