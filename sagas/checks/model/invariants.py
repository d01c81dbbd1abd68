"""What has to hold, asked of stores, log and row. Shares no code with the semantics that are checked.

The numbers are those of the invariants in docs/guides/model-checker.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sagas.checks.model.participants import Stores
from sagas.core.definition import START, STEP_TIMED_OUT, Definition, Direction, Role, StepDefinition
from sagas.core.enabled import Action
from sagas.core.instance import Fact, SagaStatus
from sagas.core.position import Position

__all__ = ["End", "Invariants"]

_TURNING = frozenset(
    {Role.REFUSED, Role.FAILED, Role.UNDONE, Role.CANCELLED, Role.OTHERWISE, Role.UNDO_FAILED}
)


class End(NamedTuple):
    """What is there when nothing can happen any more. ``log`` has every event that was ever published."""

    row: Position | None
    stores: Stores
    log: Sequence[Fact]


class Invariants:
    """The laws of one definition."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._index = {step.name: index for index, step in enumerate(definition.steps)}
        self._ancestors = {step.name: self._found_ancestors(step) for step in definition.steps}

    def _found_ancestors(self, step: StepDefinition) -> frozenset[str]:
        emitter = {
            type_: one.name
            for one in self._definition.steps
            for type_ in (*one.done, one.otherwise or "")
        }
        found: set[str] = set()
        waiting = [step.name]
        while waiting:
            for trigger in self._definition.by_name[waiting.pop()].triggers:
                if emitter[trigger] not in found:
                    found.add(emitter[trigger])
                    waiting.append(emitter[trigger])
        return frozenset(found)

    # --- whenever a handler is run ---------------------------------------------------------------------

    def acting(self, action: Action, at: Position, on_log: AbstractSet[str]) -> Iterator[str]:
        """I3, I10: nobody acts without a cause, or on one that is not durable. ``on_log`` has ids.

        An undo needs a durable failure. What triggered its step has to be recorded only: if that is lost
        with the table before it is published, nothing was undone that was done, and a tombstone is left.
        """
        step = action.step
        if action.direction is Direction.FORWARD:
            if not _meets(step, {id_.removeprefix("outside/") for id_ in on_log}):
                yield f"I10: {step.name} is performed on an event that is not durable"
            return
        facts = [at.fact(number) for number in range(len(at.ids))]
        if not any(fact.role in _TURNING for fact in facts if fact.id in on_log):
            yield f"I10: {step.name} is undone on an event that is not durable"
        if step.triggers and not _meets(step, {fact.type for fact in facts}):
            yield f"I3: {step.name} is undone, and nothing had triggered it"

    def undoing(self, name: str, stores: Stores, on_log: AbstractSet[str]) -> Iterator[str]:
        """I5: what came before a step is undone after it. ``stores`` are those before the undo."""
        if self._is_left(self._definition.by_name[name], on_log):
            return
        for before in sorted(self._ancestors[name]):
            left = self._is_left(self._definition.by_name[before], on_log)
            if stores[self._index[before]].undos and not left:
                yield f"I5: {before} was undone before {name}, which followed it"

    @staticmethod
    def _is_left(step: StepDefinition, types: AbstractSet[str]) -> bool:
        return step.otherwise is not None and step.otherwise in types

    # --- at the end ------------------------------------------------------------------------------------

    def broken(self, end: End) -> list[str]:
        """Every broken invariant in words; empty when all hold."""
        return [*self._ends(end), *self._effects(end), *self._left(end), *self._log(end)]

    def _ends(self, end: End) -> Iterator[str]:
        if end.row is None:
            yield "I1: nothing was ever recorded"
            return
        status = end.row.status
        parked = any(fact.role is Role.PARKED for fact in end.log)
        if not (status.is_terminal or (status is SagaStatus.PARKED and parked)):
            yield f"I1: nothing happens any more, and the saga is left {status}"

    def _effects(self, end: End) -> Iterator[str]:
        status = None if end.row is None else end.row.status
        types = {fact.type for fact in end.log}
        pivots = [step for step in self._definition.steps if step.pivot]
        past = any(end.stores[self._index[pivot.name]].effects for pivot in pivots)
        for step, store in zip(self._definition.steps, end.stores, strict=True):
            done, undone, left = store.effects, store.undos, self._is_left(step, types)
            if done > 1 or undone > 1:
                yield f"I4: {step.name} took effect {done} times and was undone {undone} times"
            if undone > done:
                yield f"I3: {step.name} was undone without having been done"
            if status is SagaStatus.COMPLETED:
                yield from self._completed(end, step, types, done, undone)
            if status is SagaStatus.COMPENSATED and step.undone is not None and done != undone:
                yield f"I2: the saga is compensated and {step.name} is not undone"
            if status is SagaStatus.COMPENSATED and step.pivot and done:
                yield f"I7: the saga is compensated past its pivot {step.name}"
            if undone and past and not left:
                yield f"I7: {step.name} is undone past a pivot"

    def _completed(
        self, end: End, step: StepDefinition, types: AbstractSet[str], done: int, undone: int
    ) -> Iterator[str]:
        left = self._is_left(step, types)
        required = not step.waits and not left and self._is_due(step, types)
        if undone and not left:
            yield f"I2: the saga completed and {step.name} is undone"
        if left and step.undone is not None and done != undone:
            yield f"I2: the saga went on without {step.name}, which is not undone"
        if required and not done:
            yield f"I2: the saga completed without {step.name}"
        if done and not required and not left and step.name != START:
            yield f"I11: {step.name} took effect, but what triggers it never counted"
        timed_out = any(fact.type == STEP_TIMED_OUT and fact.step == step.name for fact in end.log)
        if timed_out and end.row is not None and not end.row.place.past_pivot:
            yield f"I11: the saga completed although the time of {step.name} was up"

    def _is_due(self, step: StepDefinition, types: AbstractSet[str]) -> bool:
        """Whether what triggers the step is on the log, and counts."""
        there = set(types)
        for other in self._definition.steps:
            if self._is_left(other, types):
                there -= set(other.done)
        for other in self._definition.steps:  # in order: a wait counts once it is triggered
            if other.waits and not _meets(other, there):
                there -= set(other.done)
        return _meets(step, there)

    def _left(self, end: End) -> Iterator[str]:
        """I2: what a saga that turned back has left is in its ledger."""
        if end.row is None or end.row.status not in {SagaStatus.COMPENSATED, SagaStatus.FAILED}:
            return
        for step, store in zip(self._definition.steps, end.stores, strict=True):
            left = step.undone is not None and store.effects > store.undos
            if left and not end.row.place.model.outstanding(step):
                yield f"I2: {step.name} is left, and not in the ledger of the saga"

    def _log(self, end: End) -> Iterator[str]:
        """I8: what is recorded is on the log, and the other way round; what came from outside may be late."""
        recorded = set() if end.row is None else set(end.row.ids)
        on_log = {fact.id for fact in end.log}
        for fact in end.log:
            if fact.id not in recorded and not fact.id.startswith("outside/"):
                yield f"I8: {fact.type} was emitted and is not recorded"
        if end.row is not None:
            for number, id_ in enumerate(end.row.ids):
                if id_ not in on_log:
                    yield f"I8: {end.row.fact(number).type} is recorded and was never emitted"


def _meets(step: StepDefinition, types: AbstractSet[str]) -> bool:
    present = [trigger in types for trigger in step.triggers]
    return any(present) if step.join == "any" else all(present)
