"""The world of one message: the saga table, the broker and the service's handlers, as ``Handling`` sees
them.

Owns the translation between the core's facts and what is stored and sent. Every call waits for a server
that is away; nothing here decides anything.
"""

from __future__ import annotations

from asyncio import current_task
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import ParamSpec, TypeVar

import structlog

from sagas.core.decide import ActionResult, Emission, ResultKind
from sagas.core.enabled import Action
from sagas.core.errors import RetriableError
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.core.refold import Found
from sagas.observability.in_hand import acting, belonging
from sagas.ports import OutgoingRecord, Row, RowChange, Stamp, TableUnavailable
from sagas.ports.telemetry import Watch
from sagas.runtime.attempts import Attempts, InHand
from sagas.runtime.calling import Calling, in_hand
from sagas.runtime.calls import Call, bound_ms
from sagas.runtime.decisions import payload_of
from sagas.runtime.execution import Performed
from sagas.runtime.forgetting import content_of, forgettable, is_leaf
from sagas.runtime.history import History, lacks
from sagas.runtime.incoming import Incoming
from sagas.runtime.participant import Participant
from sagas.runtime.reception import OtherStart, in_question
from sagas.runtime.recorded import envelope_of, tell
from sagas.runtime.trails import is_from_outside, log_fields, trail_of_saga
from sagas.wire.envelope import Envelope, Trail, encode_headers
from sagas.wire.ids import event_id
from sagas.wire.stored import decode_event, decode_position, encode_event, encode_position

__all__ = ["MessageWorld", "Participant"]

_log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

_NO_NOTES: Mapping[str, str] = MappingProxyType({})


class MessageWorld:
    """Implements ``sagas.core.handling.World`` for one message and one service."""

    def __init__(
        self,
        participant: Participant,
        incoming: Incoming,
        in_hand: InHand,
        watch: Watch | None = None,
    ) -> None:
        self._at = participant
        self._task = current_task()
        self._incoming = incoming
        self._in_hand = in_hand
        self._watch = watch
        self._trail = incoming.envelope.trail
        self._definition = incoming.saga.definition
        self._saga_id = incoming.saga_id
        self._notes: Mapping[str, str] = _NO_NOTES
        self._stored: Position | None = None
        self._with_events: Row | None = None
        self._stored_here = False
        self._is_there = False
        """Whether the row has the message in hand."""
        self._decided: dict[str, Envelope] = {}
        self._performed: Performed | None = None
        self._content = ""
        self._emitted: list[Fact] = []
        # Most messages need neither: they are made when something asks.
        self._made_attempts: Attempts | None = None
        self._made_history: History | None = None

    @property
    def attempts(self) -> Attempts:
        """The attempts at what the message enables."""
        made = self._made_attempts
        if made is None:
            at, incoming = self._at, self._incoming
            made = self._made_attempts = Attempts(
                incoming.saga.name,
                self._saga_id,
                self._in_hand,
                control=incoming.control,
                table=at.table,
                topics=at.retries,
                clock=at.clock,
            )
            made.loaded(self._notes)
        return made

    @property
    def _history(self) -> History:
        made = self._made_history
        if made is None:
            at, record = self._at, self._in_hand.record
            made = self._made_history = History(
                self._incoming,
                partition=record.partition,
                published_ms=record.timestamp_ms,
                restorer=at.restorers.get(self._definition.saga),
                patience=at.patience,
            )
        return made

    def begins(self) -> bool:
        """Whether the message is the start of a first run, young enough not to have run before, and leads to
        a step of ours. Who only looks on comes later, and mostly finds the row.
        """
        incoming, at = self._incoming, self._at
        if not incoming.starts or in_question(incoming, None):
            return False
        if incoming.fact.type not in self._definition.leads_forward[at.service.name]:
            return False
        keep_ms, published_ms = at.keep_ended_ms, self._in_hand.record.timestamp_ms
        return keep_ms is None or published_ms >= at.clock.now_ms() - keep_ms

    async def load(self) -> Position | None:
        """The row, without its events unless they will be asked for, decoded; put back from the topics if it
        has lost something.

        Raises OtherStart for a start that is to be decided on, and StartRefused for one that is older
        than rows are kept: it may have run.
        """
        at, incoming, definition = self._at, self._incoming, self._definition
        from_outside = is_from_outside(incoming)
        events = from_outside or incoming.fact.type in definition.looks_back[at.service.name]
        row = await self._insist(at.table.load, definition.saga, self._saga_id, events=events)
        self._with_events = row if events else None
        if row is None:
            self._is_there = False
            self._may_fold(None)
            self._history.refuse_old_start(at.clock.now_ms(), at.keep_ended_ms)
            return None
        generation, version = row.stamp
        position = decode_position(
            definition,
            self._saga_id,
            row.state,
            notes=row.notes,
            generation=generation,
            version=version,
        )
        index = position.index_of(incoming.fact)
        self._is_there = index is not None
        if index is None and lacks(position, incoming) and await self.restored():
            return await self.load()
        if incoming.starts:
            self._may_fold(position)
        if from_outside:
            self._belong(trail_of_saga(position, row, incoming))
        self._notes = row.notes
        if self._made_attempts is not None:
            self._made_attempts.loaded(row.notes)
        self._stored = position
        return position

    def _belong(self, trail: Trail) -> None:
        """What is decided on has the saga's own trail, whoever has sent the message."""
        self._trail = trail
        belonging(partial(log_fields, trail))
        if self._watch is not None:
            self._watch.belongs(trail)

    def _may_fold(self, position: Position | None) -> None:
        if in_question(self._incoming, position):
            raise OtherStart(self._saga_id)

    async def restored(self) -> bool:
        """Look once for what the row lacks; whether it is to be loaded again."""
        return await self._history.restored()

    async def _row_with_events(self) -> Row | None:
        """The row and its events, as it was loaded if nothing was stored since."""
        at, loaded = self._at, self._with_events
        if loaded is not None:
            return loaded
        return await self._insist(at.table.load, self._definition.saga, self._saga_id, events=True)

    async def _on_topics(self) -> Mapping[str, Found]:
        return await self._history.stored()

    async def store(self, position: Position, recorded: Fact | None) -> Position | None:
        """One compare-and-set: state, index entry, and the bytes of every event newly recorded."""
        at, before = self._at, self._stored
        generation, version = position.generation, position.version
        if not version:
            generation = at.table.generation(self._definition.saga, self._saga_id)
        stored = position.stamped(generation, version + 1)
        timers_set, cleared = stored.timers_since(before)
        if self._notes or self._made_attempts is not None:
            cleared = cleared.union(self.attempts.cleared_by(recorded, stored))
        events = {}
        message = self._incoming.fact
        folded = not self._is_there and stored.index_of(message) is not None
        if folded:
            events[message.kept_as] = encode_event(self._incoming.envelope)
            if self._incoming.starts:
                self._content = content_of(self._incoming.event)
        if recorded is not None:
            payload = payload_of(recorded, self._incoming, self._performed)
            decided = envelope_of(recorded, stored, payload, at.service.name, self._trail)
            self._decided[recorded.id] = decided
            events[recorded.kept_as] = encode_event(decided)
        change = RowChange(
            saga=self._definition.saga,
            saga_id=self._saga_id,
            expected=Stamp(generation, version) if version else None,
            stamp=Stamp(generation, version + 1),
            status=stored.status,
            state=encode_position(stored),
            events=events,
            at_ms=at.clock.now_ms(),
            token=at.ids.new(),
            timers_set=timers_set,
            timers_cleared=cleared,
            content=self._content,
        )
        if not await self._insist(at.table.store, change):
            _log.debug("table.conflict", version=version)
            if self._watch is not None:
                self._watch.conflict()
            if recorded is not None:
                # Somebody else may have recorded it: what is published is what is stored.
                del self._decided[recorded.id]
            return None
        self._stored, self._stored_here, self._with_events = stored, True, None
        self._is_there = self._is_there or folded
        self._changed(before, stored, recorded, folded=folded)
        return stored

    def _changed(
        self, before: Position | None, stored: Position, recorded: Fact | None, *, folded: bool
    ) -> None:
        """One line for each event that is recorded, by whoever stored it first: of one that was decided
        elsewhere somebody has told, of one from outside nobody.
        """
        if self._watch is not None:
            self._watch.stored(before, stored, recorded, folded=folded)
        if folded and (not self._incoming.envelope.seq or self._incoming.starts):
            tell(self._incoming.fact, stored, self._incoming.envelope.payload)
        if recorded is not None:
            tell(recorded, stored, self._decided[recorded.id].payload)

    async def emit(self, fact: Fact) -> bool:
        """Publish an event as it is stored. An event whose bytes the row keeps no more is on Kafka."""
        envelope = self._decided.get(fact.id)
        if envelope is None:
            row = await self._row_with_events()
            kept = None if row is None else row.events.get(fact.kept_as)
            if row is None or kept is None:
                return row is not None and self._has(row, fact)
            envelope = decode_event(kept, self._definition.saga, self._saga_id, fact)
        await self._publish(envelope)
        self._emitted.append(fact)
        return True

    def _has(self, row: Row, fact: Fact) -> bool:
        """Whether a row has the event recorded, whatever it keeps of it."""
        at = decode_position(self._definition, self._saga_id, row.state)
        index = at.index_of(fact)
        return index is not None and at.ids[index] == fact.id

    @property
    def has_written(self) -> bool:
        """Whether anything was stored or emitted."""
        return self._stored_here or bool(self._emitted)

    async def forget_events(self, at: Position) -> None:
        """Drop the bytes of what is on Kafka and nobody needs from the row any more: all that is proven, of
        a saga that ended here; what was emitted here and nothing follows, of another.

        A hint: where it fails the bytes stay until the row goes. Without a restorer nobody could read them
        from the topics, and all are kept.
        """
        if self._stored is None or self._definition.saga not in self._at.restorers:
            return
        if at.place.status.is_terminal:
            slots = forgettable(at, self._at.confirmed)
        else:
            slots = [fact.kept_as for fact in self._emitted if is_leaf(at.place.model, fact)]
        if slots:
            try:
                await self._at.table.forget_events(self._definition.saga, self._saga_id, slots)
            except TableUnavailable as error:
                _log.debug("events.kept", error=str(error))

    async def tell_end(self, at: Position) -> None:
        """Publish the event in hand again, with the status to which it has led, and what travels with the
        saga: of one that was ended from outside nobody else tells the observers.
        """
        envelope = self._incoming.envelope
        await self._publish(
            envelope._replace(
                seq=at.version, generation=at.generation, status=at.status, trail=self._trail
            )
        )

    async def _publish(self, envelope: Envelope) -> None:
        record = OutgoingRecord(
            self._at.topics.of(self._definition, envelope.type),
            self._saga_id.encode(),
            envelope.payload,
            encode_headers(envelope),
        )
        await self._insist(self._at.broker.publish, record)

    async def _insist(
        self, call: Callable[P, Awaitable[T]], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """``Patience.insist`` in the message's own task, which it need not ask for."""
        task = self._task
        cancelled = 0 if task is None else task.cancelling()
        try:
            return await call(*arguments, **named)
        except RetriableError as error:
            return await self._at.patience.go_on(error, cancelled, call, *arguments, **named)

    def now_ms(self) -> int:
        """The clock's time."""
        return self._at.clock.now_ms()

    def event_id(self, emission: Emission, cause: Fact) -> str:
        """The deterministic id of an event to be emitted."""
        return event_id(
            self._definition.saga,
            self._saga_id,
            emission.type,
            step=emission.step,
            direction=emission.direction,
            epoch=emission.epoch,
            cause=cause.id,
        )

    async def perform(self, action: Action, at: Position, *, at_once: bool = False) -> ActionResult:
        """Run the handler; its returned payload is kept for the store that follows.

        Past the deadline a forward step before the pivot is not begun. What waits in a retry topic is
        left to it.
        """
        acting(action)
        participant, incoming, watch = self._at, self._incoming, self._watch
        until_ms, made = bound_ms(action, at), 0
        if until_ms is not None and participant.clock.now_ms() > until_ms:
            self._performed = Performed(ActionResult(ResultKind.EXPIRED))
            return self._performed.result
        if (self._notes or self._in_hand.retried or self._made_attempts) and not at_once:
            # Something may be known of attempts before this one.
            if self.attempts.waits(action, at):
                return ActionResult(ResultKind.POSTPONED)
            made = self.attempts.made(action, at)
        assignment = participant.assignments[incoming.saga, action.step.name, action.direction]
        given = in_hand(assignment, incoming, at)
        if given is None:
            calling = Calling(incoming, self._row_with_events, self._on_topics)
            given = await calling.given(assignment, action, at, self._performed)
        if watch is not None:
            watch.performing(action, at)
        self._performed = done = await participant.execution.perform(
            Call(
                *(assignment, action, at, given, made, until_ms, self._trail, incoming),
                *(participant, None if at_once else self, self._task, {}, watch),
            )
        )
        if watch is not None and done.result.kind is ResultKind.POSTPONED:
            watch.postponed(action, done.attempts)
        return done.result
