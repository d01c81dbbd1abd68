"""Which data each step touches, and which semantic locks its saga holds meanwhile: what S13 and S14 ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sagas.checks.subject import Declared
from sagas.checks.ways import certain_somewhere
from sagas.core.data import Guard, Locks, Reads, Unlocks, Writes
from sagas.core.definition import StepDefinition, StepKind

__all__ = ["Access", "accesses", "holds", "may_hold", "takers"]


@dataclass(frozen=True, eq=False)
class Access:
    """A step's access to one item of its participant's data, ``(service, name)``.

    ``held`` are the locks that the saga surely holds then, ``held_undoing`` those that it still, or again,
    holds when the step is undone; None where it is not undone.
    """

    saga: Declared
    step: StepDefinition
    item: tuple[str, str]
    writes: bool
    guard: Guard | None
    own: bool
    held: frozenset[str]
    held_undoing: frozenset[str] | None

    @property
    def where(self) -> str:
        """How it is called."""
        return f"{self.saga.definition.saga}.{self.step.name}"

    def precedes(self, other: Access) -> bool:
        """Whether it comes before the other one in the same saga."""
        definition = self.saga.definition
        return (
            self.saga is other.saga and self.step.name in definition.predecessors[other.step.name]
        )

    def meets(self, other: Access) -> bool:
        """Whether another instance may come to the same row by the other access."""
        if self.item != other.item:
            return False
        return self.saga is not other.saga or not (self.own and other.own)


def accesses(saga: Declared) -> Iterator[Access]:
    """Everything that a saga says about data."""
    definition = saga.definition
    for step in definition.steps:
        undone = step.undone is not None and definition.kinds[step.name] is StepKind.COMPENSATABLE
        for one in saga.data.get(step.name, ()):
            if isinstance(one, Reads | Writes):
                held = holds(saga, step)
                for name in one.names:
                    yield Access(
                        *(saga, step, (step.service, name), isinstance(one, Writes)),
                        guard=one.guard,
                        own=one.own,
                        held=held,
                        held_undoing=_while_undoing(saga, step, held) if undone else None,
                    )


def takers(saga: Declared, lock: str, word: type[Locks | Unlocks] = Locks) -> list[StepDefinition]:
    """The steps that take a lock, or give it back."""
    return [step for step in saga.definition.steps if lock in _named(saga, step, word)]


def holds(saga: Declared, step: StepDefinition) -> frozenset[str]:
    """The locks that are held while a step runs, on whichever way the saga has come to it."""
    definition = saga.definition
    before = definition.predecessors[step.name]
    ways = list(certain_somewhere(definition, step))
    surely = [
        {
            lock
            for name in way | {step.name}
            for lock in _named(saga, definition.by_name[name], Locks)
        }
        for way in ways
    ]
    given_back = {
        lock
        for other in definition.steps
        if other.name in before or definition.beside(other.name, step.name)
        for lock in _named(saga, other, Unlocks)
    }
    return frozenset.intersection(*map(frozenset, surely)) - given_back if surely else frozenset()


def may_hold(saga: Declared, step: StepDefinition) -> frozenset[str]:
    """The locks that the saga may hold when it comes to a step: those that some way there leaves taken."""
    definition = saga.definition
    found: set[str] = set()
    for way in certain_somewhere(definition, step):
        for name in way:
            for lock in _named(saga, definition.by_name[name], Locks):
                back = (one.name for one in takers(saga, lock, Unlocks) if one.name in way)
                if not any(name in definition.predecessors[other] for other in back):
                    found.add(lock)
    return frozenset(found)


def _while_undoing(saga: Declared, step: StepDefinition, held: frozenset[str]) -> frozenset[str]:
    """Who gives a lock back before the point of no return does not have it any more when turned back."""
    definition = saga.definition
    gone = {
        lock
        for name in definition.successors[step.name] | {step.name}
        if definition.kinds[name] is StepKind.COMPENSATABLE
        for lock in _named(saga, definition.by_name[name], Unlocks)
    }
    return held - gone


def _named(saga: Declared, step: StepDefinition, word: type[Locks | Unlocks]) -> frozenset[str]:
    said = saga.data.get(step.name, ())
    return frozenset(name for one in said if isinstance(one, word) for name in one.names)
