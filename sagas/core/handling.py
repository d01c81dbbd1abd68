"""Handling one message: the order of everything that happens to it (design.md, rules 2 to 7 and 11).

Owns the sequence and none of the doing. What it does to the world goes through ``World``; the worker's
world is a table, a broker and a participant's handlers, that of the explorer in the tests is a model of
them that crashes at every call. It is a coroutine that awaits its world only, so whoever drives it decides
what runs when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sagas.core.controls import Control, decide_control
from sagas.core.decide import ActionResult, Emission, ResultKind
from sagas.core.definition import START, Definition, Direction, Role
from sagas.core.enabled import Action
from sagas.core.errors import CompensationFailed, InvalidMessage
from sagas.core.instance import Fact
from sagas.core.position import Position

__all__ = ["ConfirmedIds", "Handling", "UnknownInstance", "World"]


class UnknownInstance(InvalidMessage):
    """A message belongs to a saga instance of which nothing is known, and is not its start."""


class World(Protocol):
    """What handling a message of one saga instance does to the world.

    Every method may raise; the message is then handled again from the beginning, here or elsewhere.
    """

    def begins(self) -> bool:
        """Whether the message is a start that may be stored without a look at the table first: nothing but
        a row of its instance could stand against it.
        """

    async def load(self) -> Position | None:
        """Where the instance stands, as the table has it now."""

    async def store(self, at: Position, recorded: Fact | None) -> Position | None:
        """Write where the instance stands, and the event recorded with it, if the row is still at its
        stamp. The same with its new stamp, or None on a conflict.
        """

    async def emit(self, fact: Fact) -> bool:
        """Publish a recorded event as stored; return once it is acknowledged. False where the row has lost it
        since: nothing was published, and the next store finds out.
        """

    async def perform(self, action: Action, at: Position, *, at_once: bool = False) -> ActionResult:
        """Run the service's handler for an action to its end, attempts included.

        Unless it has to be done ``at_once`` it may be postponed: then a message that brings its next
        attempt is published before this returns.
        """

    def now_ms(self) -> int:
        """The time that a decided event carries."""

    def event_id(self, emission: Emission, cause: Fact) -> str:
        """The deterministic id of an event to be emitted."""


class ConfirmedIds(Protocol):
    """The ids of events whose publication was acknowledged here: they need no proof."""

    def __contains__(self, id_: object, /) -> bool:
        """Whether the event is known to be published."""

    def add(self, id_: str, /) -> None:
        """The event was acknowledged."""


class Handling:
    """The handling of one message by one service. Create it, ``run`` it once.

    ``control`` is what the message asks for, if it is a control message; ``deadline_ms`` the deadline that
    a start brings along. ``confirmed`` may be shared by all handlings of a process: what the broker has
    acknowledged stays acknowledged, so forgetting some of it costs a message emitted again, never more.
    """

    def __init__(
        self,
        definition: Definition,
        service: str,
        saga_id: str,
        message: Fact,
        world: World,
        *,
        control: Control | None = None,
        deadline_ms: int | None = None,
        confirmed: ConfirmedIds | None = None,
    ) -> None:
        self._definition = definition
        self._service = service
        self._saga_id = saga_id
        self._message = message
        self._control = control
        self._deadline_ms = deadline_ms
        self._world = world
        self._confirmed: ConfirmedIds = set() if confirmed is None else confirmed
        self._told: set[str] = set()
        self._postponed: set[tuple[str, Direction, int]] = set()

    async def run(self) -> Position:
        """Handle the message; when this returns it may be acknowledged.

        Safe to repeat, also at the same time elsewhere. Raises UnknownInstance, and whatever the world
        raises.
        """
        begins = self._message.step == START and self._world.begins()
        at = await self._begin() if begins else await self._refresh()
        if self._control is not None:
            at = await self._obey(at, self._control)
            if self._message.role is not Role.WAKE:
                return at
        while (action := self._next(at)) is not None:
            at = await self._act(at, action)
        return at

    def _next(self, at: Position) -> Action | None:
        """What to do next. What was postponed is left to the message that brings its next attempt."""
        actions = at.enabled(self._service)
        if not self._postponed:
            return actions[0] if actions else None
        for action in actions:
            if (action.step.name, action.direction, action.epoch) not in self._postponed:
                return action
        return None

    async def _begin(self) -> Position:
        """Store a start unseen: mostly nobody has heard of its instance. Where somebody has, the store is
        refused as if the row had come since, and it is looked at.
        """
        new = Position.new(self._definition, self._saga_id, self._deadline_ms)
        folded, _, owed = new.receive(self._message, self._service)
        stored = await self._world.store(folded, None)
        if stored is None:
            return await self._refresh()
        if owed:
            await self._emit_owed(stored, owed)
        return stored

    async def _refresh(self) -> Position:
        """Load, fold the message in, store the fold where it matters, emit again what is unproven.

        The fold is stored before any effect and before the acknowledgement (rule 3), and every load and
        reload looks at what may have to be emitted again (rule 5).
        """
        while True:
            loaded = await self._world.load()
            before = self._unknown() if loaded is None else loaded
            if self._control is not None:
                await self._emit_owed(before, before.unproven(self._service, self._message))
                proven = await self._note_proof(before)
                if proven is not None:
                    return proven
                continue
            folded, stores, owed = before.receive(self._message, self._service)
            if stores:
                stored = await self._world.store(folded, None)
                if stored is None:
                    continue
                folded = stored
            if owed:
                await self._emit_owed(folded, owed)
            return folded

    def _unknown(self) -> Position:
        """Where an instance without a row stands: at its start, if that is the message."""
        if self._message.role is Role.DONE and self._message.step == START:
            return Position.new(self._definition, self._saga_id, self._deadline_ms)
        raise UnknownInstance(
            f"{self._message.type} belongs to {self._definition.saga} {self._saga_id!r}, of which "
            "nothing is known: its start was never seen, or its row and topics have expired."
        )

    async def _emit_owed(self, at: Position, owed: Sequence[tuple[int, bool]]) -> None:
        """Emit again what is unproven.

        An answer that came early is told again however often it was: not for want of proof, but because
        those who follow it have passed it over. Once for each message that triggers its wait.
        """
        for index, early in owed:
            fact = at.fact(index)
            if fact.id in (self._told if early else self._confirmed):
                continue
            if await self._world.emit(fact):
                self._confirmed.add(fact.id)
                self._told.add(fact.id)

    async def _note_proof(self, at: Position) -> Position | None:
        """Mark what a timer or an operator had emitted again: the broker's word is the proof, and nobody
        need ask for it any more. None on a conflict.
        """
        proven = at
        for index, _ in at.unproven(self._service, self._message):
            fact = at.fact(index)
            if fact.id in self._confirmed:
                proven = proven.fold(fact._replace(published=True))
        return proven if proven is at else await self._world.store(proven, None)

    async def _act(self, at: Position, action: Action) -> Position:
        """Perform one action, then decide, store, and emit, in this order (rule 2).

        On a conflict the outcome in hand is decided again on what is there now; the handler does not run
        again (rule 7). After its own emission the service goes on from what it has just stored (rule 5).
        """
        result = await self._world.perform(action, at)
        if result.kind is ResultKind.POSTPONED:
            self._postponed.add((action.step.name, action.direction, action.epoch))
            return at
        if result.kind is ResultKind.SUPERSEDED:
            return await self._superseded(action, at)
        while True:
            decision = at.decide(action, result)
            if decision.late_success:
                await self._undo_at_once(action, at)
            if decision.emission is None:
                return at
            fact = self._fact(decision.emission)
            if result.written and fact.type == result.type:
                fact = self._as_told(fact, decision.emission, result.written)
            stored = await self._commit(at, fact)
            if stored is not None:
                return stored
            at = await self._refresh()

    async def _superseded(self, action: Action, at: Position) -> Position:
        """The participant has undone the step under a higher epoch: the table has to know of it."""
        fresh = await self._refresh()
        if fresh.version == at.version and fresh.generation == at.generation:
            raise CompensationFailed(
                f"{action.step.name} of {self._definition.saga} {self._saga_id!r} is undone under a "
                f"higher epoch than {action.epoch}, of which the saga table does not know: rebuild it."
            )
        return fresh

    async def _undo_at_once(self, action: Action, at: Position) -> None:
        """Undo an effect that nobody else knows of, before the message is acknowledged (rule 11)."""
        undo = Action(action.step, Direction.UNDO, action.epoch)
        result = await self._world.perform(undo, at, at_once=True)
        if result.kind is not ResultKind.RETURNED:
            raise CompensationFailed(
                f"{action.step.name} of {self._definition.saga} {self._saga_id!r} took effect after "
                "it had been undone, and could not be undone again. Undo it by hand."
            )

    async def _obey(self, at: Position, control: Control) -> Position:
        """Decide what a timer or an operator asks for; the events that follow wake who is to act.

        Each thing once for a message: a saga that was resumed and is parked again waits for another.
        """
        while (emission := decide_control(at.instance, control)) is not None:
            fact = self._fact(emission)
            if at.index_of(fact) is not None:
                break
            stored = await self._commit(at, fact)
            at = await self._refresh() if stored is None else stored
        return at

    async def _commit(self, at: Position, fact: Fact) -> Position | None:
        stored = await self._world.store(at.fold(fact), fact)
        if stored is not None and await self._world.emit(fact):
            self._confirmed.add(fact.id)
        return stored

    def _as_told(self, fact: Fact, emission: Emission, written: str) -> Fact:
        """What a handler has returned in a former version: it has the id that an older worker gives it."""
        id_ = self._world.event_id(emission._replace(type=written), self._message)
        return fact._replace(id=id_, written=written)

    def _fact(self, emission: Emission) -> Fact:
        return Fact(
            id=self._world.event_id(emission, self._message),
            type=emission.type,
            step=emission.step,
            role=emission.role,
            cause=self._message.id,
            direction=emission.direction,
            at_ms=self._world.now_ms(),
            assumed=emission.assumed,
            epoch=emission.epoch,
        )
