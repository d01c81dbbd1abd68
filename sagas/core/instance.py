"""A saga instance: what is recorded of it, and where that leaves it.

Owns the value that the table stores and every function of the core takes and returns. Never changes one
in place, knows no clock, and never decides: ``evolve`` folds, ``enabled`` asks, ``decide`` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from sagas.core.definition import (
    SAGA_PARKED,
    SAGA_RESUMED,
    STEP_FAILED,
    Definition,
    Direction,
    Join,
    Role,
    StepDefinition,
)

__all__ = ["Fact", "Instance", "SagaStatus", "slot_of"]


class SagaStatus(StrEnum):
    """Where a saga stands. The last three are terminal."""

    RUNNING = "RUNNING"
    COMPENSATING = "COMPENSATING"
    PARKED = "PARKED"
    COMPLETED = "COMPLETED"
    COMPENSATED = "COMPENSATED"
    FAILED = "FAILED"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can follow."""
        return self in _TERMINAL


_TERMINAL = frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED})


def slot_of(type_: str, step: str, direction: Direction, cause: str | None) -> str:
    """The identity of an event within its instance.

    A domain event is the outcome of one step, so its type is enough. A failure belongs to a step; what
    can recur (parked, resumed) is told apart by its cause.
    """
    if type_ in _RECURRING:
        return f"{type_}/{step}/{direction}/{cause}"
    return f"{type_}/{step}" if type_ == STEP_FAILED else type_


_RECURRING = frozenset({SAGA_PARKED, SAGA_RESUMED})


class Fact(NamedTuple):
    """An event as the core sees it: which step, in which role, caused by what.

    ``published`` says that somebody held the message in hand: it is on Kafka for sure (rule 4). A tuple,
    as the instance is, because every message makes several and a data class is six times slower to copy.
    """

    id: str
    type: str
    step: str
    role: Role
    cause: str | None = None
    direction: Direction = Direction.FORWARD
    published: bool = False

    @property
    def slot(self) -> str:
        """The identity within the instance."""
        return slot_of(self.type, self.step, self.direction, self.cause)


class Instance(NamedTuple):
    """A fold of recorded events, in the order in which they were recorded.

    ``phase`` is the status without parking; ``turned_by`` the slot of the event that turned the saga
    back; ``in_flight`` the steps that were triggered and unresolved at that moment; ``parked`` the slots
    of the parkings that no resumption has lifted. ``generation`` and ``version`` are the stamp under which
    the table has it; version 0 means not stored yet.
    """

    definition: Definition
    saga_id: str
    facts: Mapping[str, Fact] = MappingProxyType({})
    phase: SagaStatus = SagaStatus.RUNNING
    turned_by: str | None = None
    in_flight: frozenset[str] = frozenset()
    parked: tuple[str, ...] = ()
    generation: int = 1
    version: int = 0

    @property
    def status(self) -> SagaStatus:
        """Where the saga stands. An end outweighs a parking."""
        return SagaStatus.PARKED if self.parked and not self.phase.is_terminal else self.phase

    def done(self, step: StepDefinition) -> bool:
        """Whether a done event of the step is recorded."""
        return any(type_ in self.facts for type_ in step.done)

    def refused(self, step: StepDefinition) -> bool:
        """Whether a refusal of the step is recorded."""
        return any(type_ in self.facts for type_ in step.refused)

    def failed(self, step: StepDefinition) -> bool:
        """Whether the step has failed for good."""
        return f"{STEP_FAILED}/{step.name}" in self.facts

    def undone(self, step: StepDefinition) -> bool:
        """Whether the step's undo is recorded."""
        return step.undone in self.facts

    def resolved(self, step: StepDefinition) -> bool:
        """Whether the step's forward action has an outcome."""
        return self.done(step) or self.refused(step) or self.failed(step)

    def triggered(self, step: StepDefinition) -> bool:
        """Whether what triggers the step is recorded. The start is always triggered."""
        if step.join is Join.ANY:
            return any(trigger in self.facts for trigger in step.triggers)
        return all(trigger in self.facts for trigger in step.triggers)

    @property
    def past_pivot(self) -> bool:
        """Whether a pivot is triggered: only its own refusal can still turn the saga back (rule 12)."""
        return any(self.triggered(pivot) for pivot in self.definition.pivots)

    def needs_undo(self, step: StepDefinition) -> bool:
        """Whether a step's effect is, or may be, there and has to be undone (rule 8).

        Done, or without a known outcome: failed for good, or in flight when the saga turned back. A
        refused step has no effect.
        """
        if step.undone is None or step.undone in self.facts:
            return False
        if self.done(step):
            return True
        unknown = step.name in self.in_flight or self.failed(step)
        return unknown and not self.refused(step)

    @property
    def state(self) -> str | None:
        """The business state reached last, by a step that is not undone.

        It is shown, and decides nothing.
        """
        reached = None
        for fact in self.facts.values():
            step = self.definition.by_name[fact.step]
            if fact.role is Role.DONE and not self.undone(step):
                reached = step.state or reached
        return reached
