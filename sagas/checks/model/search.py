"""Breadth first over everything that can happen, so that what is found is found on the shortest way."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from sagas.checks.model.bounds import Bounds, Fault
from sagas.checks.model.moves import Moves
from sagas.checks.model.participants import ALL_GUARDS, Guards
from sagas.checks.model.states import Move, State
from sagas.core.definition import Definition

__all__ = ["Counterexample", "Result", "Run", "Told", "explore"]


_LOOK_AGAIN: Final = 1000
"""After so many states it is looked at what they rely on, and told how far things are."""


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The shortest way to what must not be, and what it breaks."""

    moves: tuple[Move, ...]
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What was explored with some faults, each at most once in an execution.

    ``complete``: every state was looked at. ``cyclic``: states that may come again; from each an end can be
    reached, so executions end unless some message is for ever passed over.
    """

    faults: tuple[Fault, ...]
    states: int
    transitions: int
    depth: int
    ends: Mapping[str, int]
    complete: bool
    cyclic: int = 0
    counterexample: Counterexample | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What was explored of a saga, and what was found: one run for each choice of faults."""

    saga: str
    bounds: Bounds
    runs: tuple[Run, ...]

    @property
    def states(self) -> int:
        """How many states were looked at."""
        return sum(run.states for run in self.runs)

    @property
    def complete(self) -> bool:
        """Whether everything within the bounds was looked at. Only then is anything proven."""
        return all(run.complete for run in self.runs)

    @property
    def counterexample(self) -> Counterexample | None:
        """What was found; no execution with these faults breaks something sooner."""
        return next((run.counterexample for run in self.runs if run.counterexample), None)

    @property
    def proven(self) -> bool:
        """Whether everything holds in everything that the bounds allow."""
        return self.complete and self.counterexample is None


@dataclass(slots=True)
class _Seen:
    """The graph so far. Parents are where a state was first reached from."""

    states: list[State] = field(default_factory=list)
    numbers: dict[State, int] = field(default_factory=dict)
    parents: array[int] = field(default_factory=lambda: array("q"))
    depths: array[int] = field(default_factory=lambda: array("l"))
    sources: array[int] = field(default_factory=lambda: array("q"))
    targets: array[int] = field(default_factory=lambda: array("q"))
    good: list[int] = field(default_factory=list)

    def add(self, state: State, parent: int) -> int:
        number = self.numbers.get(state)
        if number is None:
            number = self.numbers[state] = len(self.states)
            self.states.append(state)
            self.parents.append(parent)
            self.depths.append(0 if parent < 0 else self.depths[parent] + 1)
        return number


def explore(
    definition: Definition,
    bounds: Bounds | None = None,
    *,
    guards: Guards = ALL_GUARDS,
    told: Callable[[Told], None] | None = None,
) -> Result:
    """Look at everything that the bounds allow, until something is broken.

    An execution with at most one fault has one kind of fault: each kind has a run of its own, which is much
    less than one run with all of them would be. So it is with each two, or three. ``told`` hears now and
    then how far things are.
    """
    bounds = bounds or Bounds()
    runs, left = [], bounds.states_max
    for faults in bounds.choices:
        search = _Search(Moves(definition, bounds, guards), faults, left, told)
        run = search.run()
        runs.append(run)
        left -= run.states
        if not run.complete or run.counterexample is not None:
            break
    return Result(definition.saga, bounds, tuple(runs))


class Told(NamedTuple):
    """How far things are: with which faults, how many states were looked at, how many are waiting."""

    faults: tuple[Fault, ...]
    states: int
    waiting: int


class _Search:
    """One run."""

    def __init__(
        self,
        moves: Moves,
        faults: tuple[Fault, ...],
        states_max: int,
        told: Callable[[Told], None] | None,
    ) -> None:
        self._faults, self._states_max, self._told = faults, states_max, told
        self._moves = moves
        self._seen = _Seen()
        self._ends: dict[str, int] = {}
        self._judged: dict[tuple[int, int, int], tuple[str, ...]] = {}

    def run(self) -> Run:
        while True:
            self._moves.begin()
            self._seen, self._ends = _Seen(), {}
            run = self._round()
            if run is not None and self._moves.spent.still_holds():
                return run

    def _learned(self, *, holds: bool) -> bool:
        """Whether what this round relies on still holds. If not, it goes on all the same, with what is known
        now: the next one will have to learn less.
        """
        if holds:
            holds = self._moves.spent.still_holds()
        if not holds and self._moves.spent.has_learned():
            self._moves.begin()
        return holds

    def _round(self) -> Run | None:
        """None: what this round relies on has turned out to be wrong."""
        seen, number, holds = self._seen, 0, True
        seen.add(self._moves.initial(self._faults), -1)
        while number < len(seen.states):
            if number >= self._states_max:
                return self._result(number, complete=False)
            if number % _LOOK_AGAIN == 0:
                if self._told is not None:
                    self._told(Told(self._faults, number, len(seen.states) - number))
                holds = self._learned(holds=holds)
            found = self._look(number)
            number += 1
            if found is not None:
                return self._result(number, complete=False, found=found) if holds else None
        return self._endless(number) if holds else None

    def _look(self, number: int) -> Counterexample | None:
        """Where a state leads; what is broken there, or on the way there."""
        seen, state, moved = self._seen, self._seen.states[number], False
        for move, after in self._moves.of(state):
            moved = True
            if move.violations:
                return Counterexample((*self._way(number), move), move.violations)
            target = seen.add(after, number)
            seen.sources.append(number)
            seen.targets.append(target)
        if moved:
            return None
        broken = self._judge(state)
        if broken:
            return Counterexample(tuple(self._way(number)), broken)
        seen.good.append(number)
        return None

    def _judge(self, state: State) -> tuple[str, ...]:
        key = (state.row, state.stores, state.log)
        broken = self._judged.get(key)
        end = self._moves.end(state)
        if broken is None:
            broken = self._judged[key] = tuple(self._moves.stretches.invariants.broken(end))
        status = "" if end.row is None else end.row.status.value
        self._ends[status] = self._ends.get(status, 0) + 1
        return broken

    def _way(self, number: int) -> Iterator[Move]:
        """The moves to a state, on the way on which it was first reached."""
        way = [number]
        while (number := self._seen.parents[number]) >= 0:
            way.append(number)
        way.reverse()
        for before, after in pairwise(way):
            state, wanted = self._seen.states[before], self._seen.states[after]
            yield next(move for move, found in self._moves.of(state) if found == wanted)

    def _endless(self, looked_at: int) -> Run:
        """Whether an end can be reached from everywhere, and how many states may come again."""
        reaching = _reaching(self._seen)
        lost = next((n for n in range(len(self._seen.states)) if not reaching[n]), None)
        if lost is not None:
            why = ("I1: from here no end can be reached any more",)
            found = Counterexample(tuple(self._way(lost)), why)
            return self._result(looked_at, complete=True, found=found)
        return self._result(looked_at, complete=True, cyclic=_cyclic(self._seen))

    def _result(
        self,
        looked_at: int,
        *,
        complete: bool,
        cyclic: int = 0,
        found: Counterexample | None = None,
    ) -> Run:
        return Run(
            self._faults,
            looked_at,
            len(self._seen.sources),
            max(self._seen.depths),
            dict(sorted(self._ends.items())),
            complete,
            cyclic,
            found,
        )


def _reaching(seen: _Seen) -> bytearray:
    """For each state whether an end is reachable from it."""
    before: list[list[int]] = [[] for _ in seen.states]
    for source, target in zip(seen.sources, seen.targets, strict=True):
        before[target].append(source)
    reaching, waiting = bytearray(len(seen.states)), list(seen.good)
    for end in seen.good:
        reaching[end] = 1
    while waiting:
        for source in before[waiting.pop()]:
            if not reaching[source]:
                reaching[source] = 1
                waiting.append(source)
    return reaching


def _cyclic(seen: _Seen) -> int:
    """How many states are on a cycle, or between two: what is left when ends are taken away, again and
    again, and then beginnings.
    """
    left = bytearray(b"\1") * len(seen.states)
    for sources, targets in ((seen.sources, seen.targets), (seen.targets, seen.sources)):
        counts = [0] * len(seen.states)
        before: list[list[int]] = [[] for _ in seen.states]
        for source, target in zip(sources, targets, strict=True):
            if left[source] and left[target]:
                counts[source] += 1
                before[target].append(source)
        waiting = [n for n, count in enumerate(counts) if left[n] and not count]
        while waiting:
            gone = waiting.pop()
            left[gone] = 0
            for source in before[gone]:
                counts[source] -= 1
                if not counts[source]:
                    waiting.append(source)
    return sum(left)
