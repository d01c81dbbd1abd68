"""Handlings in the middle, as values: a coroutine can not be copied, but run again to the same place.

Owns the tree of what ``Handling.run`` asks of its world, after which answers. It is the code that runs in
production; a handling is a function of the answers that it got, so a node of this tree, reached by its
answers, is all that a state needs to know of it. Whatever was found once is looked up.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Hashable, Iterator
from enum import IntEnum
from typing import Any, NamedTuple

from sagas.checks.model.register import SAGA_ID, Register
from sagas.core.decide import ActionResult, Decision, Emission
from sagas.core.enabled import Action
from sagas.core.errors import CompensationFailed
from sagas.core.handling import Handling
from sagas.core.instance import Fact, slot_of
from sagas.core.position import Position

__all__ = ["ABSENT", "Asked", "Continuations", "Node"]

ABSENT = -1
"""The number of a row that is not there; the answer to a store that came too late."""


class Asked(IntEnum):
    """What a handling waits for."""

    LOAD = 0
    STORE = 1
    EMIT = 2
    PERFORM = 3
    NOTHING = 4
    """It is over: the message can be acknowledged."""
    DEAD_LETTER = 5
    """It raised: the message becomes a dead letter, and the saga is to be parked for it."""


class _Call(NamedTuple):
    """A call to the world, and with what; it waits for its answer."""

    asked: Asked
    at: Position | None = None
    fact: Fact | None = None
    action: Action | None = None
    at_once: bool = False

    def __await__(self) -> Generator[_Call, Any, Any]:
        return (yield self)


class _World:
    """A world that only asks: every answer is given by whoever drives the coroutine."""

    def begins(self) -> bool:
        """No start is stored unseen: that is as if it had been looked for just before, or long ago."""
        return False

    async def load(self) -> Position | None:
        at: Position | None = await _Call(Asked.LOAD)
        return at

    async def store(self, at: Position, recorded: Fact | None) -> Position | None:
        stored: Position | None = await _Call(Asked.STORE, at, recorded)
        return stored

    async def emit(self, fact: Fact) -> bool:
        await _Call(Asked.EMIT, None, fact)
        return True

    async def perform(self, action: Action, at: Position, *, at_once: bool = False) -> ActionResult:
        result: ActionResult = await _Call(Asked.PERFORM, at, None, action, at_once)
        return result

    def now_ms(self) -> int:
        """Time does not pass here: whatever could be due is due, or is not."""
        return 0

    def event_id(self, emission: Emission, cause: Fact) -> str:
        return slot_of(emission.type, emission.step, emission.direction, cause.id, emission.epoch)


_WORLD = _World()


_FORGOTTEN = (Position, Decision, Emission)


class Node:
    """A handling that waits for an answer.

    ``delivery`` is what it handles, ``row`` what it wants to store or has in hand for a handler, ``message``
    what it wants to emit. ``version`` is the stamp under which it knows the row.
    """

    __slots__ = (
        *("action", "answers", "asked", "at_once", "children", "delivery", "fact", "live"),
        *("memory", "message", "number", "row", "version"),
    )

    def __init__(self, delivery: int, memory: int, number: int) -> None:
        self.delivery = delivery
        self.memory = memory
        self.number = number
        self.answers: tuple[Any, ...] = ()
        self.version = 0
        self.children: dict[Any, Node] = {}
        self.asked = Asked.NOTHING
        self.row = ABSENT
        self.message = ABSENT
        self.action: Action | None = None
        self.at_once = False
        self.fact: Fact | None = None
        self.live: Coroutine[Any, Any, Position] | None = None


class Continuations:
    """The tree. ``memory`` is a set of message numbers as bits: what the process knows to be published."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._roots: dict[tuple[int, int], Node] = {}
        self._known: dict[Hashable, Node] = {}
        self.nodes: list[Node] = []

    def root(self, delivery: int, memory: int) -> Node:
        """A handling at its beginning."""
        node = self._roots.get((delivery, memory))
        if node is None:
            node = self._roots[delivery, memory] = self._new(delivery, memory)
            self._resume(node, self._begin(node), None)
        return node

    def after(self, node: Node, answer: Any) -> Node:
        """Where a handling stands after the answer to what it asked.

        That is the number of a row, and whether it has changed since the handling knew it; the number of a
        row that was stored, or ABSENT; None; a result.
        """
        child = node.children.get(answer)
        if child is None:
            child = node.children[answer] = self._find(node, answer)
        return child

    def _new(self, delivery: int, memory: int) -> Node:
        node = Node(delivery, memory, len(self.nodes))
        self.nodes.append(node)
        return node

    def _begin(self, node: Node) -> Coroutine[Any, Any, Position]:
        delivery = self._register.deliveries.values[node.delivery]
        message = self._register.messages.values[delivery.message]
        ids = self._register.messages.values
        confirmed = {one.fact.id for n, one in enumerate(ids) if node.memory >> n & 1}
        return Handling(
            *(self._register.definition, delivery.service, SAGA_ID, message.fact, _WORLD),
            control=message.control,
            confirmed=confirmed,
        ).run()

    def _find(self, node: Node, answer: Any) -> Node:
        coroutine, node.live = node.live, None
        value, version = self._value(node.asked, answer, node.version)
        if coroutine is None:
            coroutine = self._again(node)
        child = Node(node.delivery, node.memory, len(self.nodes))
        child.answers, child.version = (*node.answers, answer), version
        self._resume(child, coroutine, value)
        overtaken = node.asked is Asked.STORE and answer == ABSENT and child.asked is Asked.LOAD
        standing = self._standing(coroutine, version, overtaken=overtaken)
        key = (node.delivery, child.asked, overtaken, *standing)
        known = self._known.setdefault(key, child)
        if known is child:
            self.nodes.append(child)
        return known

    def _standing(
        self, coroutine: Coroutine[Any, Any, Any], version: int, *, overtaken: bool
    ) -> Iterator[Hashable]:
        """All that a suspended handling knows: where it stands, its variables, and what it remembers.

        Whatever loop it is in goes over something that is among these. Two that know the same go on in the
        same way, so they are one node. Stamps count relative to the latest. One that was ``overtaken``, so
        that its store failed, loads again, and looks no more at where the saga stood, nor at what it had
        decided there: what it has in hand is the outcome of its handler.
        """
        inner: Any = coroutine
        while getattr(inner, "cr_frame", None) is not None:
            frame = inner.cr_frame
            yield frame.f_code, frame.f_lasti
            for name, value in sorted(frame.f_locals.items()):
                if not (overtaken and isinstance(value, _FORGOTTEN)):
                    yield name, self._plain(value, version)
            inner = inner.cr_await

    def _plain(self, value: Any, version: int) -> Hashable:
        match value:
            case Position():
                return self._register.row(value), version - value.version
            case Handling():
                kept = vars(value).items()
                return tuple(frozenset(one) for _, one in kept if isinstance(one, set))
            case _World():
                return None
            case _:
                hash(value)
                known: Hashable = value
                return known

    def _again(self, node: Node) -> Coroutine[Any, Any, Position]:
        """The coroutine at a node whose own has gone on: from the beginning, with the same answers."""
        coroutine, version = self._begin(node), 0
        call: _Call = coroutine.send(None)
        for answer in node.answers:
            value, version = self._value(call.asked, answer, version)
            call = coroutine.send(value)
        return coroutine

    def _value(self, asked: Asked, answer: Any, version: int) -> tuple[Any, int]:
        """What an answer stands for, and the stamp under which the row is known then."""
        if asked is Asked.LOAD:
            row, changed = answer
            version += row != ABSENT and (changed or version == 0)
        elif asked is Asked.STORE:
            row = answer
            version += row != ABSENT
        elif asked is Asked.PERFORM:
            return ActionResult(*answer), version
        else:
            return None, version
        return (
            None if row == ABSENT else self._register.rows.values[row].stamped(1, version)
        ), version

    def _resume(self, node: Node, coroutine: Coroutine[Any, Any, Position], value: Any) -> None:
        try:
            call: _Call = coroutine.send(value)
        except StopIteration:
            return
        except CompensationFailed:
            node.asked = Asked.DEAD_LETTER
            return
        node.asked, node.live = call.asked, coroutine
        node.action, node.at_once, node.fact = call.action, call.at_once, call.fact
        if call.at is not None:
            node.row = self._register.row(call.at)
        if call.asked is Asked.EMIT and call.fact is not None:
            node.message = self._register.event(call.fact)
