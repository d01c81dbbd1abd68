"""Messages that can not change anything any more, whatever else happens: they need not be tried.

A delivery is inert at a row if handling it would store nothing, emit nothing and run nothing. It is spent if
it is inert at that row and at every row that can follow. One that is spent may be handled now or later, or
before or after anything else: every order leads to the same, so it is taken off at once (a persistent set of
one move, in the words of partial-order reduction).

Which rows can follow is known only once everything is explored. So the exploration begins with what is known,
notes on what it has relied, and is made again if that turns out to be wrong: until nothing was wrong. As
spent messages change no row, what is explored then has every row that there is.
"""

from __future__ import annotations

from sagas.checks.model.stretches import Stretches

__all__ = ["Spent"]

Handled = tuple[int, int]
"""A delivery, and what its process knows to be published, as bits."""


class Spent:
    """What is known of rows that follow each other, and what was concluded from it."""

    def __init__(self, stretches: Stretches) -> None:
        self._stretches = stretches
        self._edges: set[tuple[int, int]] = set()
        self._inert: dict[tuple[Handled, int], bool] = {}
        self._staying: dict[Handled, dict[int, bool]] = {}
        self._after: dict[int, set[int]] = {}
        self._relied: set[tuple[Handled, int]] = set()
        self._known = 0

    def follows(self, row: int, after: int) -> None:
        """One row was seen to follow another."""
        self._edges.add((row, after))

    def is_spent(self, handled: Handled, row: int) -> bool:
        """Whether a delivery can change nothing any more, by what was known when this round began."""
        if (handled, row) in self._relied:
            return True
        if not self._stays_inert(handled, row):
            return False
        self._relied.add((handled, row))
        return True

    def _stays_inert(self, handled: Handled, row: int) -> bool:
        """Whether a delivery is inert at a row, and wherever one comes from there."""
        staying = self._staying.setdefault(handled, {})
        found = staying.get(row)
        if found is None:
            seen, waiting = {row}, [row]
            while waiting:
                at = waiting.pop()
                if staying.get(at) is False or not self._is_inert(handled, at):
                    staying[row] = staying[at] = False
                    return False
                if at not in staying:
                    new = self._after.get(at, set()) - seen
                    seen |= new
                    waiting += new
            staying.update(dict.fromkeys(seen, True))
        return staying[row]

    def _is_inert(self, handled: Handled, row: int) -> bool:
        found = self._inert.get((handled, row))
        if found is None:
            node = self._stretches.continuations.root(*handled)
            initial = self._stretches.initial
            ways = self._stretches.of(node, row, initial, 0, changed=False, fine=True)
            found = len(ways) == 1 and ways[0].node is None and not ways[0].calls
            found = self._inert[handled, row] = found and not ways[0].dead_letter
        return found

    def begin(self) -> None:
        """A round begins, with all that is known now."""
        self._known = len(self._edges)
        self._after = {}
        for row, after in self._edges:
            self._after.setdefault(row, set()).add(after)
        self._staying.clear()
        self._relied.clear()

    def holds(self) -> bool:
        """Whether everything that this round has relied on is still true, by what is known at its end."""
        if len(self._edges) == self._known:
            return True
        relied = set(self._relied)
        self.begin()
        return all(self._stays_inert(handled, row) for handled, row in relied)
