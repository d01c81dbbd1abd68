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
    STEP_TIMED_OUT,
    UNDO_AGAIN,
    UNDO_FAILED,
    Definition,
    Direction,
    Join,
    Role,
    StepDefinition,
)

__all__ = ["Fact", "Instance", "SagaStatus", "is_told_apart", "slot_of"]


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


def slot_of(type_: str, step: str, direction: Direction, cause: str | None, epoch: int = 0) -> str:
    """The identity of an event within its instance.

    A domain event is the outcome of one step, so its type is enough. A failure belongs to a step; what
    can recur (parked, resumed) is told apart by its cause. What belongs to a compensation that is run
    once more carries its epoch.
    """
    if type_ in _RECURRING:
        return f"{type_}/{step}/{direction}/{cause}"
    slot = f"{type_}/{step}" if type_ in _OF_A_STEP else type_
    return f"{slot}@{epoch}" if epoch else slot


_RECURRING = frozenset({SAGA_PARKED, SAGA_RESUMED})
_OF_A_STEP = frozenset({STEP_FAILED, STEP_TIMED_OUT, UNDO_FAILED, UNDO_AGAIN})


_TOLD_APART = _RECURRING | _OF_A_STEP


def is_told_apart(type_: str) -> bool:
    """Whether the slot of such an event may depend on what caused it."""
    return type_ in _RECURRING


class Fact(NamedTuple):
    """An event as the core sees it: which step, in which role, caused by what.

    ``published`` says that somebody held the message in hand: it is on Kafka for sure (rule 4).
    ``at_ms`` is when it was decided; ``assumed`` marks an otherwise event that no handler returned, so
    that the step's outcome is unknown. ``epoch`` is above 0 for a compensation that is run once more, and
    for its outcome. ``folded`` marks one that was recorded because its message came, not because it was
    decided, so that its stamp does not say when. ``written`` is the type under which it travels and is kept,
    where that is a former version of ``type``, and empty elsewhere. A tuple, as the instance is, because
    every message makes several and a data class is six times slower to copy.
    """

    id: str
    type: str
    step: str
    role: Role
    cause: str | None = None
    direction: Direction = Direction.FORWARD
    published: bool = False
    at_ms: int = 0
    assumed: bool = False
    epoch: int = 0
    folded: bool = False
    written: str = ""

    @property
    def slot(self) -> str:
        """The identity within the instance."""
        type_, epoch = self.type, self.epoch
        if type_ in _TOLD_APART:
            return slot_of(type_, self.step, self.direction, self.cause, epoch)
        return f"{type_}@{epoch}" if epoch else type_

    @property
    def travels_as(self) -> str:
        """Its type on the wire."""
        return self.written or self.type

    @property
    def kept_as(self) -> str:
        """The name under which the row keeps its bytes: the slot, as whoever wrote it knows it."""
        written = self.written
        if not written:
            return self.slot
        return f"{written}@{self.epoch}" if self.epoch else written


class Instance(NamedTuple):
    """A fold of recorded events, in the order in which they were recorded.

    ``phase`` is the status without parking; ``turned_by`` the slot of the event that turned the saga
    back; ``in_flight`` the steps that were triggered and unresolved at that moment; ``parked`` the slots
    of the parkings that no resumption has lifted; ``deadline_ms`` bounds the way to the pivot.
    ``generation`` and ``version`` are the stamp under which the table has it; version 0 means not stored
    yet. ``heartbeats`` says when the handler of a step, by its name, last said that it is at work: a hint
    that is no part of the fold, and lost with the table.
    """

    definition: Definition
    saga_id: str
    facts: Mapping[str, Fact] = MappingProxyType({})
    phase: SagaStatus = SagaStatus.RUNNING
    turned_by: str | None = None
    in_flight: frozenset[str] = frozenset()
    parked: tuple[str, ...] = ()
    deadline_ms: int | None = None
    generation: int = 1
    version: int = 0
    heartbeats: Mapping[str, int] = MappingProxyType({})

    @property
    def status(self) -> SagaStatus:
        """Where the saga stands. An end outweighs a parking."""
        return SagaStatus.PARKED if self.parked and not self.phase.is_terminal else self.phase

    @property
    def resumptions(self) -> int:
        """How often an operator let the saga go on: attempts are counted anew each time."""
        return sum(fact.role is Role.RESUMED for fact in self.facts.values())

    def done(self, step: StepDefinition) -> bool:
        """Whether a done event of the step is recorded."""
        return not self.facts.keys().isdisjoint(step.done)

    def refused(self, step: StepDefinition) -> bool:
        """Whether a refusal of the step is recorded."""
        return not self.facts.keys().isdisjoint(step.refused)

    def failed(self, step: StepDefinition) -> bool:
        """Whether the step has failed for good, or its time is up."""
        return not self.facts.keys().isdisjoint(step.failures)

    def gone_on(self, step: StepDefinition) -> bool:
        """Whether the saga has gone on along the step's otherwise event."""
        return step.otherwise is not None and step.otherwise in self.facts

    def undone(self, step: StepDefinition) -> bool:
        """Whether the step's undo is recorded, under whichever epoch."""
        if step.undone in self.facts:
            return True
        epochs = range(1, self.again_epoch(step) + 1)
        return any(f"{step.undone}@{epoch}" in self.facts for epoch in epochs)

    def given_up(self, step: StepDefinition) -> bool:
        """Whether the step's undo has failed for good, and the others go on without it."""
        return f"{UNDO_FAILED}/{step.name}" in self.facts

    def again_epoch(self, step: StepDefinition) -> int:
        """The highest epoch under which the step's undo was asked for once more; 0 if it never was."""
        again = (fact for fact in self.facts.values() if fact.role is Role.AGAIN)
        return max((fact.epoch for fact in again if fact.step == step.name), default=0)

    def owed_epoch(self, step: StepDefinition) -> int:
        """The epoch under which the step is still to be undone once more, or 0 (rule 14)."""
        epoch = self.again_epoch(step)
        ended = (f"{step.undone}@{epoch}", f"{UNDO_FAILED}/{step.name}@{epoch}")
        return 0 if any(slot in self.facts for slot in ended) else epoch

    def outstanding(self, step: StepDefinition) -> bool:
        """Whether the step's effect is, or may be, there although the saga turned back or went on without
        it: an entry of the ledger (rule 13).

        An upper bound: what was undone, and nobody has heard of it yet, counts.
        """
        epoch = self.again_epoch(step)
        if epoch:
            return f"{step.undone}@{epoch}" not in self.facts
        if self.phase is SagaStatus.RUNNING:
            return self.undo_beside(step)
        if self.phase is SagaStatus.COMPLETED:
            return False
        return self.needs_undo(step) or (self.given_up(step) and not self.undone(step))

    def resolved(self, step: StepDefinition) -> bool:
        """Whether the step's forward action has an outcome."""
        return not self.facts.keys().isdisjoint(step.ends)

    def accepts(self, type_: str) -> bool:
        """Whether an outcome is recorded and counts as a trigger (rule 9a).

        Once the saga has gone on along a step's otherwise event, a done event of it is recorded only. What
        completes a step that waits counts once that step is triggered.
        """
        if type_ not in self.facts:
            return False
        if type_ not in self.definition.conditional:
            return True
        outcome = self.definition.outcome_of[type_]
        step = self.definition.by_name[outcome.step]
        if outcome.role is Role.DONE and self.gone_on(step):
            return False
        return not step.waits or self.triggered(step)

    def triggered(self, step: StepDefinition) -> bool:
        """Whether what triggers the step is recorded. The start is always triggered."""
        triggers = step.triggers
        if len(triggers) == 1:  # nearly always, and asked some twenty times a message
            return self.accepts(triggers[0])
        if step.join is Join.ANY:
            return any(map(self.accepts, triggers))
        return all(map(self.accepts, triggers))

    @property
    def past_pivot(self) -> bool:
        """Whether a pivot is triggered: only its own refusal can still turn the saga back (rule 12)."""
        pivots = self.definition.pivots
        if len(pivots) == 1:
            return self.triggered(pivots[0])
        return any(map(self.triggered, pivots))

    def needs_undo(self, step: StepDefinition) -> bool:
        """Whether a step's effect is, or may be, there and has to be undone (rule 8).

        Done, or without a known outcome: failed for good, or in flight when the saga turned back. A
        refused step has no effect.
        """
        if step.undone is None or self.undone(step) or self.given_up(step):
            return False
        if self.done(step):
            return True
        if self.gone_on(step):
            return self.facts[step.otherwise or ""].assumed
        unknown = step.name in self.in_flight or self.failed(step)
        return unknown and not self.refused(step)

    def undo_beside(self, step: StepDefinition) -> bool:
        """Whether the step is to be undone beside a running saga: it has gone on without it (rule 9a)."""
        return self.gone_on(step) and self.needs_undo(step)

    @property
    def state(self) -> str | None:
        """The business state reached last, by a step that is not undone, or by a wait whose time was up
        and with which the saga went on.

        It is shown, and decides nothing.
        """
        reached = None
        for fact in self.facts.values():
            step = self.definition.by_name[fact.step]
            waited = fact.role is Role.OTHERWISE and step.waits
            if (fact.role is Role.DONE and not self.undone(step)) or waited:
                reached = step.state or reached
        return reached
