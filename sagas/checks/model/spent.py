"""What can not change anything any more, whatever else happens, and need not be tried or remembered.

A handling that is about to load the row, or a message on its way, is inert at a row if going on would store
nothing, emit nothing and run nothing. It is spent if it is inert at that row and at every row that can
follow. One that is spent may be handled now or later, before or after anything else: every order leads to
the same, so it is taken off at once (a persistent set of one move, in the words of partial-order reduction).
It is in vain, which is as good, if all it would do is emit again what is on the log already, and the
messages of that are in vain themselves; not in a circle, or messages that wake each other without end would
go unnoticed. That is asked only where the log has everything that is recorded, and nobody can die any more.

In the same way it is forgotten what a process knows to be published once nothing would make it emit that
again, or it would be in vain.

Which rows can follow is known only once everything is explored. So it is concluded from what is known, noted
on what was relied, and told which conclusions were wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum

from sagas.checks.model.continuations import Node
from sagas.checks.model.stretches import Stretches

__all__ = ["Spent"]


class _Is(IntEnum):
    """What is asked of a row, and of all that can follow."""

    INERT = 0
    """Of a node: going on does nothing."""
    IN_VAIN = 1
    """Of a node: going on only emits again what is in vain."""
    SILENT = 2
    """Of a service and a message: nothing makes the service emit it again."""
    HEARD = 3
    """Of a message: handling it again is in vain, for everybody."""


_Question = tuple[int, ...]


class Spent:
    """What is known of rows that follow each other, and what was concluded from it. Sets of rows are bits."""

    def __init__(self, stretches: Stretches) -> None:
        self._stretches = stretches
        self._register = stretches.register
        self._services = stretches.register.definition.services
        self._after: dict[int, int] = {}
        self._reach: dict[int, int] = {}
        self._holding: dict[_Question, int] = {}
        self._failing: dict[_Question, int] = {}
        self._relied: dict[_Question, int] = {}
        self._again: dict[tuple[int, int], tuple[int, int]] = {}
        self._asking: set[tuple[_Question, int]] = set()
        self._grown = 0
        self._known = (0, 0)

    def follows(self, row: int, after: int) -> None:
        """One row was seen to follow another."""
        known = self._after.get(row, 0)
        if not known >> after & 1:
            self._after[row] = known | 1 << after
            self._grown += 1

    def is_spent(self, node: Node, row: int, *, safe: bool) -> bool:
        """Whether a handling that is to load can change nothing any more, by what is known.

        ``safe``: the log has everything that is recorded, and nobody can die.
        """
        number = node.number
        return self._relies((_Is.INERT, number), row) or (
            safe and self._relies((_Is.IN_VAIN, number), row)
        )

    def kept(self, service: int, memory: int, row: int, *, safe: bool) -> int:
        """What a process has to remember of ``memory``: what it might otherwise emit again."""
        left, found = memory, memory
        while left:
            bit = left & -left
            left ^= bit
            message = bit.bit_length() - 1
            if (safe and self._relies((_Is.HEARD, message), row)) or self._relies(
                (_Is.SILENT, service, message), row
            ):
                found ^= bit
        return found

    def learn(self) -> set[int]:
        """The rows at which something was relied on that has turned out to be wrong since the last time."""
        known = (self._grown, len(self._register.messages.values))
        if known == self._known:
            return set()
        more_messages = known[1] != self._known[1]
        self._known = known
        before, self._reach = self._reach, _reachable(self._after)
        changed = sum(1 << row for row, reach in self._reach.items() if before.get(row) != reach)
        fixed = {_Is.INERT} if more_messages else {_Is.INERT, _Is.SILENT}
        for question in self._holding:
            if question[0] not in fixed:
                self._holding[question] = 0
        wrong = 0
        for question, rows in self._relied.items():
            asked = rows & changed if question[0] in fixed else rows
            for row in _numbers(asked):
                if not self._stays(question, row):
                    wrong |= 1 << row
                    self._relied[question] &= ~(1 << row)
        return set(_numbers(wrong))

    # --- rows that can follow --------------------------------------------------------------------------

    def _relies(self, question: _Question, row: int) -> bool:
        relied = self._relied.get(question, 0)
        if relied >> row & 1:
            return True
        if not self._stays(question, row):
            return False
        self._relied[question] = relied | 1 << row
        return True

    def _stays(self, question: _Question, row: int) -> bool:
        """Whether something holds at a row, and wherever one comes from there. What does not now never will:
        ever more rows are known to follow.
        """
        reach = self._reach.get(row, 1 << row)
        if reach & self._failing.get(question, 0):
            return False
        for at in _numbers(reach & ~self._holding.get(question, 0)):
            holds = self._holds(question, at)
            known = self._holding if holds else self._failing
            known[question] = known.get(question, 0) | 1 << at
            if not holds:
                return False
        return True

    def _holds(self, question: _Question, row: int) -> bool:
        match question[0]:
            case _Is.INERT:
                return self.is_inert(question[1], row)
            case _Is.SILENT:
                return self._is_silent(question[1], question[2], row)
            case _Is.HEARD:
                return all(self._is_heard(one, row) for one in self._register.sent(question[1]))
            case _:
                return self._is_in_vain(question, row)

    def is_inert(self, number: int, row: int) -> bool:
        """Whether a handling that is to load would do nothing at a row."""
        stretches = self._stretches
        node = stretches.continuations.nodes[number]
        ways = stretches.of(node, row, stretches.initial, 0, changed=True, fine=True)
        if len(ways) != 1:
            return False
        only = ways[0]
        return only.node is None and not only.calls and not only.dead_letter

    def _is_in_vain(self, question: _Question, row: int) -> bool:
        if (question, row) in self._asking:
            return False
        self._asking.add((question, row))
        stretches = self._stretches
        node = stretches.continuations.nodes[question[1]]
        ways = stretches.of(node, row, stretches.initial, 0, changed=True, fine=True)
        found = all(
            way.died
            or (
                way.node is None
                and not (way.stored or way.performed or way.dead_letter)
                and all(self._is_heard(one, row) for one in way.sent)
            )
            for way in ways
        )
        self._asking.discard((question, row))
        return found

    def _is_heard(self, delivery: int, row: int) -> bool:
        number = self._stretches.continuations.root(delivery, 0).number
        return self._stays((_Is.IN_VAIN, number), row)

    def _is_silent(self, service: int, message: int, row: int) -> bool:
        """Whether there is no message with which a service would emit an event again."""
        again, looked_at = self._again.get((service, row), (0, 0))
        messages = self._register.messages.values
        known = len(messages)
        if looked_at < known:
            name, at = self._services[service], self._register.rows.values[row]
            for one in messages[looked_at:known]:
                if not self._register.concerns(name, one):
                    continue
                seen = at if one.control else at.receive(one.fact, name)[0]
                for index, _ in seen.unproven(name, one.fact):
                    again |= 1 << self._register.event(seen.fact(index))
            self._again[service, row] = again, known
        return not again >> message & 1


def _numbers(bits: int) -> Iterator[int]:
    """The numbers in a set that is given as bits."""
    while bits:
        bit = bits & -bits
        bits ^= bit
        yield bit.bit_length() - 1


def _reachable(after: Mapping[int, int]) -> dict[int, int]:
    """For each row the set of those that can follow it, itself among them."""
    reach = {row: bits | 1 << row for row, bits in after.items()}
    grown = True
    while grown:
        grown = False
        for row in sorted(reach, reverse=True):  # later rows have higher numbers, nearly always
            more = reach[row]
            for other in _numbers(after[row]):
                more |= reach.get(other, 0)
            grown = grown or more != reach[row]
            reach[row] = more
    return reach
