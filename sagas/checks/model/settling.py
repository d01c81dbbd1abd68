"""A state without what can change nothing any more: what is left of it.

Every answer remembers the states for which it was given, so that they can be looked at again if what it
relied on turns out to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

from sagas.checks.model.continuations import ABSENT, Asked
from sagas.checks.model.spent import Spent
from sagas.checks.model.states import State
from sagas.checks.model.stretches import Stretches

__all__ = ["Settling"]

_Running = tuple[tuple[int, bool], ...]
_Left = tuple[tuple[int, ...], _Running, tuple[int, ...]]
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class _Asking(NamedTuple):
    """What an answer depends on, besides what is known of rows."""

    row: int
    sent: tuple[int, ...]
    running: _Running
    memory: tuple[int, ...]
    safe: bool


class _Answers(Generic[T]):
    """Answers found once, and who was told."""

    def __init__(self, find: Callable[[_Asking], T]) -> None:
        self._find = find
        self._found: dict[_Asking, T] = {}
        self._told: dict[_Asking, list[int]] = {}
        self._at: dict[int, list[_Asking]] = {}

    def of(self, asking: _Asking, source: int) -> T:
        """The answer, told to the state ``source``."""
        told = self._told.get(asking)
        if told is None:
            self._found[asking] = self._find(asking)
            told = self._told[asking] = []
            self._at.setdefault(asking.row, []).append(asking)
        told.append(source)
        return self._found[asking]

    def mended(self, rows: Iterable[int]) -> set[int]:
        """Find the answers at some rows anew, and the states that were told something else."""
        wrong: set[int] = set()
        for row in rows:
            for asking in self._at.get(row, ()):
                found = self._find(asking)
                if found != self._found[asking]:
                    self._found[asking] = found
                    wrong.update(self._told[asking])
                    self._told[asking].clear()
        return wrong


class Settling:
    """Takes off what is spent. ``crash`` is the bit of the fault that somebody dies; 0: nobody ever does."""

    def __init__(self, stretches: Stretches, crash: int) -> None:
        self._stretches = stretches
        self._register = stretches.register
        self._crash = crash
        self._services = {name: n for n, name in enumerate(self._register.definition.services)}
        self._recorded: dict[int, int] = {}
        self.spent = Spent(stretches)
        self._left = _Answers(self._found_left)
        self._noticed = _Answers(self._found_noticed)

    def learn(self) -> set[int]:
        """The states whose answers were wrong, by what is known now."""
        rows = self.spent.learn()
        return self._left.mended(rows) | self._noticed.mended(rows) if rows else set()

    def settled(self, state: State, source: int) -> State:
        """A state without what can change nothing any more. ``source`` is the state that leads to it."""
        if state.row == ABSENT:
            return state
        safe = self._is_safe(state)
        asking = _Asking(state.row, state.sent, state.running, state.memory, safe)
        sent, running, memory = self._left.of(asking, source)
        return State(
            *(state.row, sent, running, state.stores, state.log, memory),
            *(state.faults, state.at_once, state.answered, state.repairs),
        )

    def is_noticed(self, state: State, sent: Iterable[int], source: int) -> bool:
        """Whether anybody would do anything about deliveries that are not under way already."""
        new = tuple(one for one in sent if one not in state.sent)
        if not new:
            return False
        asking = _Asking(state.row, new, (), state.memory, self._is_safe(state))
        return self._noticed.of(asking, source)

    def _is_safe(self, state: State) -> bool:
        """Whether the log has everything that is recorded, and nobody can die."""
        if state.faults & self._crash:
            return False
        recorded = self._recorded.get(state.row)
        if recorded is None:
            at, recorded = self._register.rows.values[state.row], 0
            for index in range(len(at.ids)):
                recorded |= 1 << self._register.event(at.fact(index))
            self._recorded[state.row] = recorded
        return not recorded & ~state.log

    def _found_left(self, one: _Asking) -> _Left:
        row, memory, nodes = one.row, one.memory, self._stretches.continuations.nodes
        if any(memory):
            memory = tuple(
                known and self.spent.kept(service, known, row, safe=one.safe)
                for service, known in enumerate(memory)
            )
        sent = tuple(d for d in one.sent if not self._is_spent(d, memory, one))
        running = tuple(
            handling
            for handling in one.running
            if nodes[handling[0]].asked is not Asked.LOAD
            or not self.spent.is_spent(nodes[handling[0]], row, safe=one.safe)
        )
        return sent, running, memory

    def _found_noticed(self, one: _Asking) -> bool:
        return not all(self._is_spent(delivery, one.memory, one) for delivery in one.sent)

    def _is_spent(self, delivery: int, memory: tuple[int, ...], one: _Asking) -> bool:
        there = self._register.deliveries.values[delivery]
        known = memory[self._services[there.service]] if one.safe and not there.copy else 0
        node = self._stretches.continuations.root(delivery, known)
        return self.spent.is_spent(node, one.row, safe=one.safe)
