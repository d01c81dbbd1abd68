"""Which timers a saga has set: a function of its record, so that a rebuild sets the same ones.

Knows no clock: times are those of the recorded events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sagas.core.definition import DEADLINE, Direction, Role, StepDefinition
from sagas.core.enabled import awaits_proof, comes_after_the_end
from sagas.core.instance import Instance, SagaStatus

__all__ = [
    "PROOF",
    "PROOF_AFTER_MS",
    "RETRY",
    "TimerSource",
    "retry_name",
    "timer_sources",
    "timers_of",
]

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


class TimerSource(NamedTuple):
    """A timer that is set, and what its time runs from.

    ``slots`` are those of the recorded events of which the latest counts, or the ``earliest``; the
    deadline has none, for it is a time already.
    """

    name: str
    slots: tuple[str, ...]
    after_ms: int
    earliest: bool = False

    def due_ms(
        self, since_ms: Sequence[int], deadline_ms: int | None, heartbeats: Mapping[str, int]
    ) -> int | None:
        """When it is due; None for the deadline of a saga that has none.

        ``since_ms`` says when the events of its slots were decided.
        """
        if not since_ms:
            return deadline_ms
        from_ms = min(since_ms) if self.earliest else max(since_ms)
        return max(from_ms, heartbeats.get(self.name, 0)) + self.after_ms


def timers_of(instance: Instance) -> Mapping[str, int]:
    """When each timer is due, in milliseconds since the epoch, by name: a step's, or ``DEADLINE``."""
    facts, due = instance.facts, {}
    for source in timer_sources(instance):
        since_ms = [facts[slot].at_ms for slot in source.slots]
        due_ms = source.due_ms(since_ms, instance.deadline_ms, instance.heartbeats)
        if due_ms is not None:
            due[source.name] = due_ms
    return due


def timer_sources(instance: Instance) -> tuple[TimerSource, ...]:
    """The timers that are set.

    A step's time runs from the event that triggered it, from the resumption of a parked saga, or from
    its handler's latest heartbeat, while the saga is running and not parked. The deadline bounds the way
    to the pivot. Undos have no timer.
    """
    unproven = _unproven(instance)
    found = [TimerSource(PROOF, unproven, PROOF_AFTER_MS, earliest=True)] if unproven else []
    if instance.phase is not SagaStatus.RUNNING or instance.parked:
        return tuple(found)
    if not instance.past_pivot:
        found.append(TimerSource(DEADLINE, (), 0))
    found += [
        TimerSource(step.name, _since(instance, step), step.timeout_ms or 0)
        for step in instance.definition.timed
        if not instance.resolved(step) and instance.triggered(step)
    ]
    return tuple(found)


def _unproven(instance: Instance) -> tuple[str, ...]:
    """The events that may not be on Kafka. Another that names one as its cause proves it."""
    facts = instance.facts
    asked = [
        slot for slot, fact in facts.items() if not fact.published and awaits_proof(instance, fact)
    ]
    if instance.phase.is_terminal:
        asked = [slot for slot in asked if comes_after_the_end(instance, facts[slot])]
    if not asked:
        return ()
    causes = {fact.cause for fact in facts.values()}
    return tuple(slot for slot in asked if facts[slot].id not in causes)


def _since(instance: Instance, step: StepDefinition) -> tuple[str, ...]:
    """The events that triggered an open step, or resumed the saga."""
    since = [trigger for trigger in step.triggers if instance.accepts(trigger)]
    since += [slot for slot, fact in instance.facts.items() if fact.role is Role.RESUMED]
    return tuple(since)
