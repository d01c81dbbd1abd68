"""A stretch of a handling: what it does between two moments at which it makes a difference who is next.

A handling makes five kinds of calls, and others could do something between any two of them. Most of that
need not be tried, for these reasons (each assumes that messages may wait as long as they like):

- What lies between a load and a store that follows it at once may be anything: if the row has changed, the
  store fails and the handling is where a later load would have brought it. So the two are one.
- An event that is emitted may wait on its topic: emitting it as soon as it is decided allows everything
  that emitting it later does. So a store, a load and what is emitted after it are one.
- A handler touches its own participant's store only. Unless another worker of the same service is at work
  on the same saga (``fine``), nobody sees whether it runs sooner or later. So a load or a store and the
  handler that is run for it are one.

What is left is the moment before a store, if since the row was loaded or stored something was emitted or
performed: there others may overtake. A crash is tried after every call that leaves something behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from sagas.checks.model.bounds import Fault
from sagas.checks.model.continuations import ABSENT, Asked, Continuations, Node
from sagas.checks.model.invariants import Invariants
from sagas.checks.model.participants import Answer, Guards, Participants, Stores
from sagas.checks.model.register import Register, Table
from sagas.core.definition import Definition, Direction

__all__ = ["Stretch", "Stretches"]


class Stretch(NamedTuple):
    """What a stretch has changed, and where it has ended.

    ``node`` is where the handling stands, None at its end. ``published`` and ``remembered`` are sets of
    messages as bits: what is on the log since, and what the process has had acknowledged.
    """

    row: int
    stored: bool
    changed: bool
    stores: int
    published: int
    remembered: int
    sent: tuple[int, ...]
    node: Node | None
    performed: bool
    died: bool
    dead_letter: bool
    fault: Fault | None
    calls: tuple[str, ...]
    violations: tuple[str, ...]


@dataclass(slots=True)
class _Going:
    """A stretch on its way."""

    node: Node
    row: int
    changed: bool
    stores: int
    log: int
    stored: bool = False
    published: int = 0
    remembered: int = 0
    sent: tuple[int, ...] = ()
    fault: Fault | None = None
    noticed: bool = False
    performed: bool = False
    begins: bool = True
    calls: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()

    def ended(self, node: Node | None, *, died: bool = False, dead_letter: bool = False) -> Stretch:
        return Stretch(
            self.row,
            self.stored,
            self.changed,
            self.stores,
            self.published,
            self.remembered,
            self.sent,
            node,
            self.performed,
            died,
            dead_letter,
            self.fault,
            (*self.calls, "dies") if died else self.calls,
            self.violations,
        )


class Stretches:
    """All stretches of one exploration, each found once."""

    def __init__(self, definition: Definition, guards: Guards, *, in_order: bool = False) -> None:
        self.register = Register(definition, in_order=in_order)
        self.continuations = Continuations(self.register)
        self.invariants = Invariants(definition)
        self.stores: Table[Stores] = Table()
        self._guards = guards
        self._participants = Participants(definition, guards)
        self._found: dict[tuple[int, int, bool, int, int, bool], tuple[Stretch, ...]] = {}
        self._answers: dict[tuple[object, int, bool], tuple[Answer, ...]] = {}
        self.initial = self.stores.number(self._participants.initial())

    def of(
        self, node: Node, row: int, stores: int, log: int, *, changed: bool, fine: bool
    ) -> tuple[Stretch, ...]:
        """Every way in which a handling may go on from ``node``, with and without dying on the way.

        ``changed``: the row is another one than the handling knows. ``log``: what was published, as bits.
        """
        key = (node.number, row, changed, stores, log, fine)
        found = self._found.get(key)
        if found is None:
            going = _Going(node, row, changed, stores, log)
            found = self._found[key] = tuple(self._go(going, fine=fine))
        return found

    def _go(self, first: _Going, *, fine: bool) -> Iterator[Stretch]:
        waiting = [first]
        while waiting:
            going = waiting.pop()
            while True:
                node = going.node
                match node.asked:
                    case Asked.NOTHING | Asked.DEAD_LETTER:
                        yield going.ended(None, dead_letter=node.asked is Asked.DEAD_LETTER)
                        break
                    case Asked.STORE if going.noticed and not going.begins:
                        yield going.ended(self._before_storing(going))
                        break
                    case Asked.PERFORM if fine and not going.begins:
                        yield going.ended(node)
                        break
                    case Asked.PERFORM:
                        for one in reversed(list(self._performed(going))):
                            waiting.append(one)
                            if (
                                one.node.asked is not Asked.STORE
                            ):  # else others may come before that
                                yield one.ended(None, died=True)
                        break
                going.begins = False
                if self._call(going):
                    yield going.ended(None, died=True)

    def _before_storing(self, going: _Going) -> Node:
        """Where a handling waits that is about to store. If the row has changed, it can not: then it loads
        again.
        """
        overtaken = going.changed and self._guards.checks_stamps
        return self.continuations.after(going.node, ABSENT) if overtaken else going.node

    def _call(self, going: _Going) -> bool:
        """Answer a load, a store or an emission; whether it leaves something behind."""
        node, after = going.node, self.continuations.after
        match node.asked:
            case Asked.LOAD:
                going.node = after(node, (going.row, going.changed))
                going.changed = going.noticed = False
                return False
            case Asked.STORE:
                what = "a fold" if node.fact is None else node.fact.id
                fresh = not going.changed or not self._guards.checks_stamps
                going.noticed = False
                if not fresh:
                    going.calls += (f"finds another row than it knew, and can not store {what}",)
                    going.node = after(node, ABSENT)
                    return False
                going.calls += (f"stores {what}",)
                going.row, going.stored = node.row, True
                going.node = after(node, node.row)
                return True
            case _:
                going.calls += (f"emits {self.register.name(node.message)}",)
                going.sent += self.register.sent(node.message)
                going.published |= 1 << node.message
                going.remembered |= 1 << node.message
                going.noticed = True
                going.node = after(node, None)
                return True

    def _performed(self, going: _Going) -> Iterator[_Going]:
        """One way for each answer of the handler; first the one that it gives when it dies at once."""
        node, action = going.node, going.node.action
        if action is None:
            return
        at = self.register.rows.values[node.row]
        stores = self.stores.values[going.stores]
        on_log = self.ids_of(going.log | going.published)
        undoes = action.direction is Direction.UNDO
        name = f"{'undoes' if undoes else 'performs'} {action.step.name}, which "
        acting = () if node.at_once else tuple(self.invariants.acting(action, at, on_log))
        for answer in self._participants.answers(action, stores, past_pivot=at.place.past_pivot):
            broken = acting
            if undoes and answer.is_effect:
                broken += tuple(self.invariants.undoing(action.step.name, stores, on_log))
            yield replace(
                going,
                node=self.continuations.after(node, answer.result),
                stores=self.stores.number(answer.stores),
                fault=going.fault or answer.fault,
                noticed=True,
                performed=True,
                begins=False,
                calls=(*going.calls, name + answer.words),
                violations=going.violations + broken,
            )

    def ids_of(self, bits: int) -> frozenset[str]:
        """The ids of a set of messages."""
        names = self.register.messages.values
        return frozenset(one.fact.id for n, one in enumerate(names) if bits >> n & 1)
