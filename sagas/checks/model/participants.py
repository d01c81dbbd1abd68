"""The participants' stores, and all that a handler may answer.

A participant keeps a journal, as design.md asks of it: its effect and its outcome commit together, run
again it answers the same, and an undo that comes first leaves a tombstone. ``Guards`` takes that away, for
tests that want to see it missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from sagas.checks.model.bounds import Fault
from sagas.core.decide import ResultKind
from sagas.core.definition import START, Definition, Direction, StepDefinition, StepKind
from sagas.core.enabled import Action

__all__ = ["ALL_GUARDS", "Answer", "Guards", "Participants", "Store", "Stores"]


@dataclass(frozen=True, slots=True)
class Guards:
    """What servers and participants do for the semantics."""

    remembers_refusals: bool = True
    leaves_tombstones: bool = True
    checks_stamps: bool = True


ALL_GUARDS: Final = Guards()


class Store(NamedTuple):
    """What one step's participant has: its journal, and its effects counted."""

    forward: str | None = None
    tombstone: bool = False
    undone: bool = False
    effects: int = 0
    undos: int = 0


Stores = tuple[Store, ...]
"""The stores of all steps, in their order."""


class Answer(NamedTuple):
    """One way in which a handler may end: the result's kind and type, and the stores afterwards.

    ``is_effect``: an effect is undone by it. ``fault`` is what has to go wrong for it, if anything has.
    """

    result: tuple[ResultKind, str | None]
    stores: Stores
    words: str
    is_effect: bool = False
    fault: Fault | None = None


class Participants:
    """What the handlers of a saga may do."""

    def __init__(self, definition: Definition, guards: Guards = ALL_GUARDS) -> None:
        self._definition = definition
        self._guards = guards
        self._index = {step.name: index for index, step in enumerate(definition.steps)}

    def initial(self) -> Stores:
        """Before anything happens: the start has taken effect where it was published."""
        start = self._definition.start.done[0]
        rest = [Store() for _ in self._definition.steps[1:]]
        return (Store(forward=start, effects=1), *rest)

    def answers(self, action: Action, stores: Stores, *, past_pivot: bool) -> Iterator[Answer]:
        """Every way in which the handler of an action may end now."""
        step, store = action.step, stores[self._index[action.step.name]]
        if action.direction is Direction.UNDO:
            yield from self._undo(step, store, stores)
        elif store.tombstone:
            yield Answer((ResultKind.REJECTED, None), stores, "is rejected by the tombstone")
        elif store.forward is not None:
            told = (ResultKind.RETURNED, store.forward)
            yield Answer(told, stores, f"answers {store.forward} again")
        else:
            yield from self._forward(step, store, stores)
            if self._definition.deadline_ms is not None and not past_pivot:
                late = (ResultKind.EXPIRED, None)
                words = "is not begun: the deadline has passed"
                yield Answer(late, stores, words, fault=Fault.TIMER)

    def _forward(self, step: StepDefinition, store: Store, stores: Stores) -> Iterator[Answer]:
        compensatable = self._definition.kinds[step.name] is StepKind.COMPENSATABLE
        fault = None if compensatable else Fault.FAILURE
        failed = (ResultKind.FAILED, None)
        for type_ in step.done:
            done = store._replace(forward=type_, effects=store.effects + 1)
            told = (ResultKind.RETURNED, type_)
            yield self._ended(step, stores, done, Answer(told, stores, f"returns {type_}"))
            words = f"commits {type_} and fails for good"
            yield self._ended(step, stores, done, Answer(failed, stores, words, fault=fault))
        yield Answer(failed, stores, "fails for good", fault=fault)
        others = step.refused if step.otherwise is None else (*step.refused, step.otherwise)
        for type_ in others:
            kept = store._replace(forward=type_ if self._guards.remembers_refusals else None)
            told = (ResultKind.RETURNED, type_)
            yield self._ended(step, stores, kept, Answer(told, stores, f"returns {type_}"))

    def _undo(self, step: StepDefinition, store: Store, stores: Stores) -> Iterator[Answer]:
        undone = (ResultKind.RETURNED, step.undone)
        is_left = store.forward in step.done and store.undos < store.effects
        came_late = is_left and not self._guards.leaves_tombstones
        if store.undone and not came_late:
            yield Answer(undone, stores, f"answers {step.undone} again")
            return
        after, is_effect = store._replace(undone=True), False
        if store.forward in step.done or step.name == START:
            after, is_effect = after._replace(undos=store.undos + 1), True
        elif store.forward is None:
            after = after._replace(tombstone=self._guards.leaves_tombstones)
        told = Answer(undone, stores, f"returns {step.undone}", is_effect)
        yield self._ended(step, stores, after, told)
        failed = (ResultKind.FAILED, None)
        yield Answer(failed, stores, "fails for good", fault=Fault.FAILURE)

    def _ended(self, step: StepDefinition, stores: Stores, store: Store, told: Answer) -> Answer:
        """The answer that leaves the step's participant with ``store``."""
        index = self._index[step.name]
        return told._replace(stores=(*stores[:index], store, *stores[index + 1 :]))
