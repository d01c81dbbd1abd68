"""Breadth first over everything that can happen, so that what is found is found on the shortest way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from sagas.checks.model.bounds import Bounds, Fault
from sagas.checks.model.graph import Graph, Walk
from sagas.checks.model.moves import Moves
from sagas.checks.model.participants import ALL_GUARDS, Guards
from sagas.checks.model.states import Move, State
from sagas.core.definition import Definition

__all__ = ["Counterexample", "Result", "Run", "Search", "Told", "explore"]


_LOOK_AGAIN: Final = 250
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


def explore(
    definition: Definition,
    bounds: Bounds | None = None,
    *,
    guards: Guards = ALL_GUARDS,
    told: Callable[[Told], None] | None = None,
) -> Result:
    """Look at everything that the bounds allow, until something is broken.

    An execution with at most one fault has one kind of fault: each kind has a run of its own, which is much
    less than one run with all of them would be. So it is with each two, or three. They share what may be
    looked at, so that the largest does not use it all. ``told`` hears now and then how far things are.
    """
    bounds = bounds or Bounds()
    searches: dict[tuple[Fault, ...], Search] = {}
    runs: dict[tuple[Fault, ...], Run] = {}

    def result() -> Result:
        return Result(definition.saga, bounds, tuple(runs.values()))

    while left := bounds.states_max - sum(one.looked_at for one in searches.values()):
        unfinished = [one for one in bounds.choices if one not in runs or not runs[one].complete]
        if not unfinished:
            break
        for number, faults in enumerate(unfinished):
            if faults not in searches:
                searches[faults] = Search(Moves(definition, bounds, guards), faults, told)
            search, share = searches[faults], left // (len(unfinished) - number) or min(left, 1)
            before = search.looked_at
            runs[faults] = search.run(before + share)
            left -= search.looked_at - before
            if runs[faults].counterexample is not None:
                return result()
    return result()


class Told(NamedTuple):
    """How far things are: with which faults, how many states were looked at, how many are waiting."""

    faults: tuple[Fault, ...]
    states: int
    waiting: int


class _Waiting:
    """The states that are still to be looked at, in their order, each once."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = deque(numbers)
        self._known = set(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def next(self) -> int:
        """Take the first."""
        return self._numbers.popleft()

    def add(self, numbers: Iterable[int]) -> None:
        """Those that were not among them yet come last."""
        for number in numbers:
            if number not in self._known:
                self._known.add(number)
                self._numbers.append(number)


class Search:
    """One run, with some faults. It can be continued. ``looked_at`` counts states, those that were left aside
    later among them.
    """

    def __init__(
        self,
        moves: Moves,
        faults: tuple[Fault, ...],
        told: Callable[[Told], None] | None = None,
    ) -> None:
        self._faults, self._told, self._moves = faults, told, moves
        self._graph = Graph()
        self._waiting = _Waiting([self._graph.add(moves.initial(faults))])
        self._look_again = _LOOK_AGAIN
        self._judged: dict[tuple[int, int, int], tuple[str, ...]] = {}
        self.looked_at = 0

    def run(self, states_max: int) -> Run:
        """Look at one state after the other, until it is so many. What is said of one relies on what is known
        of rows: when that turns out to be wrong, it is looked at again, and what was only reached by it is
        left aside.
        """
        graph = self._graph
        while self._waiting or self._leaves_some():
            if self.looked_at >= states_max:
                return self._run(self.looked_at, graph.walk(), complete=False)
            self.looked_at += 1
            number = self._waiting.next()
            found = self._look(number)
            targets = graph.targets[number] or ()
            self._waiting.add(one for one in targets if graph.targets[one] is None)
            if self.looked_at >= self._look_again:
                self._look_again += max(_LOOK_AGAIN, self.looked_at // 8)
                self._tell()
            elif not found:
                continue
            if self._mended():
                self._leaves_some()
            elif found:
                return self._found(number, *found)
        return self._finished()

    def _tell(self) -> None:
        if self._told is not None:
            self._told(Told(self._faults, self.looked_at, len(self._waiting)))

    def _mended(self) -> bool:
        """Look again at the states of which something was said that was wrong; whether there were any."""
        graph, mended = self._graph, False
        while wrong := self._moves.settling.learn():
            mended = True
            for number in sorted(wrong):
                if graph.targets[number] is not None:
                    graph.targets[number] = None
                    self._look(number)
        return mended

    def _leaves_some(self) -> bool:
        """Whether anything is still to be looked at, by what is known now: the nearest first."""
        self._mended()
        targets = self._graph.targets
        self._waiting = _Waiting(one for one in self._graph.walk().order if targets[one] is None)
        return bool(self._waiting)

    def _look(self, number: int) -> tuple[Move | None, tuple[str, ...]] | None:
        """Where a state leads; or what is broken there, or by which move: it stays to be looked at then."""
        graph, state, targets = self._graph, self._graph.states[number], []
        for move, after in self._moves.of(state, number):
            if move.violations:
                return move, move.violations
            targets.append(graph.add(after))
        broken = () if targets else self._judge(state)
        if broken:
            return None, broken
        graph.targets[number] = tuple(targets)
        return None

    def _judge(self, state: State) -> tuple[str, ...]:
        key = (state.row, state.stores, state.log)
        broken = self._judged.get(key)
        if broken is None:
            end = self._moves.end(state)
            broken = self._judged[key] = tuple(self._moves.stretches.invariants.broken(end))
        return broken

    def _way(self, walk: Walk, number: int) -> Iterator[Move]:
        """The moves to a state, on the shortest way."""
        for before, after in pairwise(walk.way(number)):
            state, wanted = self._graph.states[before], self._graph.states[after]
            move = next(move for move, found in self._moves.of(state, before) if found == wanted)
            yield from map(self._moves.taking, move.passed)
            if move.words:
                yield move._replace(passed=())

    def ends(self) -> list[State]:
        """The states in which nothing can happen any more."""
        graph = self._graph
        return [graph.states[number] for number in graph.ends(graph.walk())]

    # --- what is told of a run -------------------------------------------------------------------------

    def _finished(self) -> Run:
        """Everything was looked at: whether an end can be reached from everywhere, and how many states may
        come again.
        """
        walk = self._graph.walk()
        lost = self._graph.lost(walk)
        if lost is None:
            return self._run(len(walk.order), walk, complete=True, cyclic=self._graph.cyclic(walk))
        why = ("I1: from here no end can be reached any more",)
        found = Counterexample(tuple(self._way(walk, lost)), why)
        return self._run(len(walk.order), walk, complete=True, found=found)

    def _found(self, number: int, move: Move | None, violations: tuple[str, ...]) -> Run:
        walk = self._graph.walk()
        way = tuple(self._way(walk, number))
        found = Counterexample(way if move is None else (*way, move), violations)
        return self._run(self.looked_at, walk, complete=False, found=found)

    def _run(
        self,
        states: int,
        walk: Walk,
        *,
        complete: bool,
        cyclic: int = 0,
        found: Counterexample | None = None,
    ) -> Run:
        ends = Counter(self._status(end) for end in self._graph.ends(walk))
        return Run(
            self._faults,
            states,
            self._graph.transitions(walk),
            walk.depth,
            dict(sorted(ends.items())),
            complete,
            cyclic,
            found,
        )

    def _status(self, number: int) -> str:
        row = self._moves.end(self._graph.states[number]).row
        return "" if row is None else row.status.value
