"""What can not change anything any more, whatever else happens, and need not be tried or remembered.

A handling that is about to load the row, or a message on its way, is inert at a row if going on would store
nothing, emit nothing and run nothing. It is spent if it is inert at that row and at every row that can
follow. One that is spent may be handled now or later, before or after anything else: every order leads to
the same, so it is taken off at once (a persistent set of one move, in the words of partial-order reduction).
In the same way it is forgotten what a process knows to be published once nothing would make it emit that
again.

Which rows can follow is known only once everything is explored. So the exploration begins with what is known,
notes on what it has relied, and is made again if that turns out to be wrong: until nothing was wrong. As
what is spent changes no row, what is explored then has every row that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from sagas.checks.model.continuations import Node
from sagas.checks.model.stretches import Stretches

__all__ = ["Spent"]

_ALL_MESSAGES: Final = 0


class Spent:
    """What is known of rows that follow each other, and what was concluded from it."""

    def __init__(self, stretches: Stretches) -> None:
        self._stretches = stretches
        self._register = stretches.register
        self._edges: set[tuple[int, int]] = set()
        self._after: dict[int, set[int]] = {}
        self._staying: dict[Hashable, dict[int, bool]] = {}
        self._inert: dict[tuple[int, int], bool] = {}
        self._again: dict[tuple[str, int], int] = {}
        self._kept: dict[tuple[str, int, int], int] = {}
        self._relied_nodes: set[tuple[int, int]] = set()
        self._relied_memory: set[tuple[str, int, int]] = set()
        self._known = (0, 0)
        self._stale = False

    def follows(self, row: int, after: int) -> None:
        """One row was seen to follow another."""
        self._edges.add((row, after))

    # --- handlings -------------------------------------------------------------------------------------

    def is_spent(self, node: Node, row: int) -> bool:
        """Whether a handling that is to load can change nothing any more, by what is known."""
        key = (node.number, row)
        if key in self._relied_nodes:
            return True
        if not self._stays(node.number, row, self._is_inert):
            return False
        self._relied_nodes.add(key)
        return True

    def _is_inert(self, number: int, row: int) -> bool:
        found = self._inert.get((number, row))
        if found is None:
            stretches = self._stretches
            node = stretches.continuations.nodes[number]
            ways = stretches.of(node, row, stretches.initial, 0, changed=True, fine=True)
            found = len(ways) == 1 and ways[0].node is None and not ways[0].calls
            found = self._inert[number, row] = found and not ways[0].dead_letter
        return found

    # --- memory ----------------------------------------------------------------------------------------

    def kept(self, service: str, memory: int, row: int) -> int:
        """What a process has to remember of ``memory``: what it might otherwise emit again."""
        found = self._kept.get((service, memory, row))
        if found is None:
            found = memory
            for message in range(memory.bit_length()):
                if memory >> message & 1 and self._stays((service, message), row, self._is_silent):
                    self._relied_memory.add((service, message, row))
                    found &= ~(1 << message)
            self._kept[service, memory, row] = found
        return found

    def _is_silent(self, key: tuple[str, int], row: int) -> bool:
        """Whether there is no message with which a service would emit an event again."""
        service, message = key
        again = self._again.get((service, row))
        if again is None:
            again, at = 0, self._register.rows.values[row]
            for one in self._register.messages.values:
                seen = at if one.control else at.receive(one.fact, service)[0]
                for fact, _ in seen.unproven(service, one.fact):
                    again |= 1 << self._register.event(fact)
            self._again[service, row] = again
        return not again >> message & 1

    # --- rows that can follow --------------------------------------------------------------------------

    def _stays(self, key: Hashable, row: int, holds: Callable[..., bool]) -> bool:
        """Whether something holds at a row, and wherever one comes from there."""
        staying = self._staying.setdefault(key, {})
        found = staying.get(row)
        if found is None:
            seen, waiting = {row}, [row]
            while waiting:
                at = waiting.pop()
                if staying.get(at) is False or not holds(key, at):
                    staying[row] = staying[at] = False
                    return False
                if at not in staying:
                    new = self._after.get(at, set()) - seen
                    seen |= new
                    waiting += new
            staying.update(dict.fromkeys(seen, True))
        return staying[row]

    def begin(self) -> None:
        """A round begins, with all that is known now."""
        self._relied_nodes.clear()
        self._relied_memory.clear()
        self._kept.clear()
        self._stale = False
        self._learn()

    def _learn(self) -> None:
        self._known = self._size()
        self._after = {}
        for row, after in self._edges:
            self._after.setdefault(row, set()).add(after)
        self._staying.clear()
        self._again.clear()

    def _size(self) -> tuple[int, int]:
        return len(self._edges), len(self._register.messages.values)

    def still_holds(self) -> bool:
        """Whether everything that this round has relied on is still true, by what is known now."""
        if self._size() == self._known:
            return True
        self._learn()
        holds = all(
            self._stays(number, row, self._is_inert) for number, row in self._relied_nodes
        ) and all(
            self._stays((service, message), row, self._is_silent)
            for service, message, row in self._relied_memory
        )
        self._stale = not holds
        return holds

    def has_learned(self) -> bool:
        """Whether more is known than what was concluded is based on."""
        return self._stale or self._size() != self._known
