"""The graph of states as far as it is known: what leads where, and what can be said of the whole."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sagas.checks.model.states import State

__all__ = ["Graph", "Walk"]

_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through all that can be reached, breadth first: the states in their ``order``, where each was
    first reached from, and how many moves the farthest is away.
    """

    order: tuple[int, ...]
    parents: array[int]
    depth: int

    def way(self, number: int) -> list[int]:
        """The states on the shortest way to one, the first and itself among them."""
        way = [number]
        while (number := self.parents[number]) != _NOBODY:
            way.append(number)
        way.reverse()
        return way


@dataclass(slots=True)
class Graph:
    """States by number. ``targets`` is None of one that nobody has looked at yet, empty of an end."""

    states: list[State] = field(default_factory=list)
    targets: list[tuple[int, ...] | None] = field(default_factory=list)
    _numbers: dict[State, int] = field(default_factory=dict)

    def add(self, state: State) -> int:
        """The number of a state."""
        number = self._numbers.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
            self.targets.append(None)
        return number

    def walk(self) -> Walk:
        """Through everything that can be reached from the first state, by what is known now."""
        parents, depths = (
            array("q", [_NOBODY]) * len(self.states),
            array("l", [0]) * len(self.states),
        )
        order, seen = [0], bytearray(len(self.states))
        seen[0] = 1
        for number in order:
            for target in self.targets[number] or ():
                if not seen[target]:
                    seen[target], parents[target] = 1, number
                    depths[target] = depths[number] + 1
                    order.append(target)
        return Walk(tuple(order), parents, depths[order[-1]])

    def ends(self, walk: Walk) -> Iterator[int]:
        """The reachable states that lead nowhere."""
        return (number for number in walk.order if self.targets[number] == ())

    def transitions(self, walk: Walk) -> int:
        """How many moves there are."""
        return sum(len(self.targets[number] or ()) for number in walk.order)

    def lost(self, walk: Walk) -> int | None:
        """The nearest state from which no end can be reached, if there is one."""
        before = self._before(walk.order)
        reaching, waiting = bytearray(len(self.states)), list(self.ends(walk))
        for end in waiting:
            reaching[end] = 1
        while waiting:
            for source in before[waiting.pop()]:
                if not reaching[source]:
                    reaching[source] = 1
                    waiting.append(source)
        return next((number for number in walk.order if not reaching[number]), None)

    def cyclic(self, walk: Walk) -> int:
        """How many states are on a cycle, or between two: what is left when ends are taken away, again and
        again, and then beginnings.
        """
        after = {number: list(self.targets[number] or ()) for number in walk.order}
        left = _peeled(set(walk.order), after, self._before(walk.order))
        return len(_peeled(left, self._before(left), after))

    def _before(self, numbers: Iterable[int]) -> dict[int, list[int]]:
        """Where each of some states can be reached from, among them."""
        before: dict[int, list[int]] = {number: [] for number in numbers}
        for source in before:
            for target in self.targets[source] or ():
                if target in before:
                    before[target].append(source)
        return before


def _peeled(left: set[int], after: dict[int, list[int]], before: dict[int, list[int]]) -> set[int]:
    """What is left when whatever leads to nothing that is left is taken away, until there is none."""
    left = set(left)
    counts = {number: sum(target in left for target in after[number]) for number in left}
    waiting = [number for number, count in counts.items() if not count]
    while waiting:
        gone = waiting.pop()
        left.discard(gone)
        for source in before[gone]:
            if source in left:
                counts[source] -= 1
                if not counts[source]:
                    waiting.append(source)
    return left
