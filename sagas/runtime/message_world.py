"""The world of one message: the saga table, the broker and the service's handlers, as ``Handling`` sees
them.

Owns the translation between the core's facts and what is stored and sent. Every call waits for a server
that is away; nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

import structlog

from sagas.context import StepContext
from sagas.core.decide import ActionResult, Emission, ResultKind
from sagas.core.definition import START, Direction, Join, Role, StepDefinition
from sagas.core.enabled import Action
from sagas.core.events import Event
from sagas.core.framework_events import SagaParked
from sagas.core.instance import Fact, Instance
from sagas.core.timers import timers_of
from sagas.ports import (
    OutgoingRecord,
    Row,
    RowChange,
    Stamp,
)
from sagas.runtime.attempts import Attempts
from sagas.runtime.decisions import payload_of
from sagas.runtime.execution import Call, Performed
from sagas.runtime.heartbeats import Heartbeats
from sagas.runtime.history import History
from sagas.runtime.incoming import Incoming, decode_payload
from sagas.runtime.participant import Participant
from sagas.runtime.reception import OtherStart, in_question
from sagas.wire.envelope import Envelope, encode_headers
from sagas.wire.headers import Headers
from sagas.wire.ids import event_id, idempotency_key, mark_of
from sagas.wire.stored import decode_event, decode_instance, encode_event, encode_instance
from sagas.wire.trace import child_of

__all__ = ["MessageWorld", "Participant"]

_log = structlog.get_logger()


class MessageWorld:
    """Implements ``sagas.core.handling.World`` for one message and one service."""

    def __init__(
        self,
        participant: Participant,
        incoming: Incoming,
        attempts: Attempts,
        *,
        partition: int,
        published_ms: int,
    ) -> None:
        self._at = participant
        self._attempts = attempts
        self._incoming = incoming
        self._history = History(
            incoming,
            partition=partition,
            published_ms=published_ms,
            restorer=participant.restorers.get(incoming.saga.name),
            patience=participant.patience,
        )
        self._definition = incoming.saga.definition
        self._saga_id = incoming.saga_id
        self._stored_slots: AbstractSet[str] = frozenset()
        self._stored: Instance | None = None
        self._encoded: dict[str, tuple[Headers, bytes]] = {}
        self._performed: Performed | None = None

    async def load(self) -> Instance | None:
        """The row without its events, decoded; put back from the topics if it has lost something.

        Raises OtherStart for a start that is to be decided on, and StartRefused for one that is older
        than rows are kept: it may have run.
        """
        at, row = self._at, await self._row(events=False)
        if row is None:
            self._may_fold(None)
            self._history.refuse_old_start(at.clock.now_ms(), at.keep_ended_ms)
            return None
        generation, version = row.stamp
        instance = decode_instance(
            self._definition,
            self._saga_id,
            row.state,
            notes=row.notes,
            generation=generation,
            version=version,
        )
        if self._history.is_lacked_by(instance) and await self.restored():
            return await self.load()
        self._may_fold(instance)
        self._attempts.loaded(row.notes)
        self._stored_slots, self._stored = instance.facts.keys(), instance
        return instance

    def _may_fold(self, instance: Instance | None) -> None:
        if in_question(self._incoming, instance):
            raise OtherStart(self._saga_id)

    async def restored(self) -> bool:
        """Look once for what the row lacks; whether it is to be loaded again."""
        return await self._history.restored()

    async def _row(self, *, events: bool) -> Row | None:
        at = self._at
        return await at.patience.insist(
            lambda: at.table.load(self._definition.saga, self._saga_id, events=events)
        )

    async def store(self, instance: Instance, recorded: Fact | None) -> Instance | None:
        """One compare-and-set: state, index entry, and the bytes of every event newly recorded."""
        at = self._at
        if not instance.version:
            generation = at.table.generation(self._definition.saga, self._saga_id)
            instance = instance._replace(generation=generation)
        stored = instance._replace(version=instance.version + 1)
        timers = timers_of(stored)
        set_before = {} if self._stored is None else timers_of(self._stored)
        if recorded is not None:
            self._encoded[recorded.slot] = self._encode(stored, recorded)
        message = self._incoming.fact
        if message.slot in instance.facts and message.slot not in self._stored_slots:
            envelope = self._incoming.envelope
            self._encoded[message.slot] = (encode_headers(envelope), envelope.payload)
        change = RowChange(
            saga=self._definition.saga,
            saga_id=self._saga_id,
            expected=Stamp(instance.generation, instance.version) if instance.version else None,
            stamp=Stamp(stored.generation, stored.version),
            status=stored.status,
            state=encode_instance(stored),
            events={
                slot: encode_event(*encoded)
                for slot, encoded in self._encoded.items()
                if slot in stored.facts and slot not in self._stored_slots
            },
            at_ms=at.clock.now_ms(),
            token=at.ids.new(),
            timers_set={
                name: due_ms for name, due_ms in timers.items() if set_before.get(name) != due_ms
            },
            timers_cleared={
                *(set_before.keys() - timers.keys()),
                *self._attempts.cleared_by(recorded, stored),
            },
        )
        if not await at.patience.insist(lambda: at.table.store(change)):
            _log.debug("table.conflict", version=instance.version)
            if recorded is not None:
                # Somebody else may have recorded it: what is published is what is stored.
                del self._encoded[recorded.slot]
            return None
        self._stored_slots, self._stored = stored.facts.keys(), stored
        if recorded is not None:
            fields = {"step": recorded.step, "type": recorded.type, "status": str(stored.status)}
            if recorded.role is Role.PARKED:
                reason = self._why_parked(recorded)
                _log.warning("saga.event", **fields, version=stored.version, reason=reason)
            else:
                _log.info("saga.event", **fields, version=stored.version)
        return stored

    def _why_parked(self, recorded: Fact) -> str:
        """What the event says that was just stored, whatever it came from: a handler, a timer, a letter."""
        _, payload = self._encoded[recorded.slot]
        return SagaParked.model_validate_json(payload).error

    def _encode(self, stored: Instance, fact: Fact) -> tuple[Headers, bytes]:
        incoming = self._incoming.envelope
        envelope = Envelope(
            id=fact.id,
            type=fact.type,
            source=self._at.service.name,
            time_ms=fact.at_ms,
            saga=self._definition.saga,
            saga_id=self._saga_id,
            payload=payload_of(fact, self._incoming, self._performed),
            causation_id=fact.cause,
            fingerprint=self._definition.fingerprint,
            seq=stored.version,
            generation=stored.generation,
            epoch=fact.epoch,
            assumed=fact.assumed,
            status=stored.status,
            folded=tuple(mark_of(one.id) for one in stored.facts.values() if one.folded),
            trail=replace(
                incoming.trail,
                deadline_ms=stored.deadline_ms,
                traceparent=child_of(incoming.trail.traceparent, fact.id),
            ),
        )
        return encode_headers(envelope), envelope.payload

    async def emit(self, fact: Fact) -> None:
        """Publish an event with the very bytes that are stored."""
        encoded = self._encoded.get(fact.slot)
        if encoded is None:
            row = await self._row(events=True)
            if row is None or fact.slot not in row.events:
                return  # the row went away since: the next load sees it
            encoded = decode_event(row.events[fact.slot])
        await self._publish(*encoded)

    async def tell_end(self, instance: Instance) -> None:
        """Publish the event in hand again, with the status to which it has led: of a saga that was
        ended from outside nobody else tells the observers.
        """
        envelope = replace(
            self._incoming.envelope,
            seq=instance.version,
            generation=instance.generation,
            status=instance.status,
        )
        await self._publish(encode_headers(envelope), envelope.payload)

    async def _publish(self, headers: Headers, payload: bytes) -> None:
        record = OutgoingRecord(
            self._at.topics.events(self._at.service.name),
            self._saga_id.encode(),
            payload,
            headers,
        )
        await self._at.patience.insist(lambda: self._at.broker.publish(record))

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

    async def perform(
        self, action: Action, instance: Instance, *, at_once: bool = False
    ) -> ActionResult:
        """Run the handler; its returned payload is kept for the store that follows.

        Past the deadline a forward step before the pivot is not begun. What waits in a retry topic is
        left to it.
        """
        if self._expired(action, instance):
            self._performed = Performed(ActionResult(ResultKind.EXPIRED))
            return self._performed.result
        if self._attempts.waits(action, instance) and not at_once:
            return ActionResult(ResultKind.POSTPONED)
        call = await self._call(action, instance, at_once=at_once)
        self._performed = await self._at.execution.perform(call)
        return self._performed.result

    def _expired(self, action: Action, instance: Instance) -> bool:
        bound_ms = _bound_ms(action, instance)
        return bound_ms is not None and self._at.clock.now_ms() > bound_ms

    async def _call(self, action: Action, instance: Instance, *, at_once: bool) -> Call:
        step, service = action.step, self._at.service
        undo = action.direction is Direction.UNDO
        handlers = service.undoers if undo else service.performers
        events = await self._events(action, instance)
        saga = self._incoming.saga
        outcome = next((events[type_] for type_ in step.done if type_ in events), None)
        if outcome is None and undo:
            outcome = self._unrecorded(step)
        triggers = self._triggers(step, events)
        starts = step.name == START
        made = 0 if at_once else self._attempts.made(action, instance)

        async def postpone(number: int, error: str, pause_s: float) -> bool:
            if at_once:
                return False  # the outcome that is undone is in this process only
            return await self._attempts.failed(action, instance, number, error, pause_s)

        return Call(
            action=action,
            handler=handlers[self._definition.saga, step.name],
            triggers=(outcome,) if starts and outcome is not None else triggers,
            outcome=outcome,
            context=self._context(action, instance, events, made + 1, at_once=at_once),
            retry=saga.retries[step.name],
            key_field=self._definition.key,
            outcome_types=saga.events,
            has_expired=lambda: self._expired(action, instance),
            postpone=postpone,
            made=made,
            starts=starts,
        )

    def _unrecorded(self, step: StepDefinition) -> Event | None:
        """The outcome in hand that came too late to be recorded, and is undone at once (rule 11)."""
        performed = self._performed
        type_ = None if performed is None else performed.result.type
        if performed is None or type_ is None or type_ not in step.done:
            return None
        return decode_payload(self._incoming.saga.events[type_], type_, performed.payload)

    def _triggers(self, step: StepDefinition, events: Mapping[str, Event]) -> tuple[Event, ...]:
        recorded = tuple(events[trigger] for trigger in step.triggers if trigger in events)
        return recorded[:1] if step.join is Join.ANY else recorded

    def _context(
        self,
        action: Action,
        instance: Instance,
        events: Mapping[str, Event],
        attempt: int,
        *,
        at_once: bool,
    ) -> StepContext:
        step, envelope = action.step, self._incoming.envelope
        return StepContext(
            saga=self._definition.saga,
            saga_id=self._saga_id,
            tenant=envelope.trail.tenant,
            correlation_id=envelope.trail.correlation_id or self._saga_id,
            causation_id=envelope.id,
            deadline_ms=instance.deadline_ms,
            traceparent=envelope.trail.traceparent,
            status=str(instance.status),
            logger=structlog.get_logger(step=step.name),
            resources=self._at.resources,
            step=step.name,
            direction=action.direction,
            attempt=attempt,
            epoch=action.epoch,
            idempotency_key=idempotency_key(
                self._definition.saga, self._saga_id, step.name, action.direction, action.epoch
            ),
            because=events.get(instance.turned_by or ""),
            events={type_: events[type_] for type_ in step.reads if type_ in events},
            pulse=self._pulse(action, instance, at_once=at_once),
        )

    def _pulse(self, action: Action, instance: Instance, *, at_once: bool) -> Heartbeats:
        return Heartbeats(
            action,
            instance,
            deadline_ms=_bound_ms(action, instance),
            table=self._at.table,
            clock=self._at.clock,
            at_once=at_once,
        )

    async def _events(self, action: Action, instance: Instance) -> Mapping[str, Event]:
        """The recorded events that a handler gets, by slot, decoded.

        A forward step whose only trigger is the message in hand needs none but that; anything else reads
        the recorded events of the row. Of two events for one place the recorded one counts, whichever is
        in hand: everybody acts on the same.
        """
        step, message = action.step, self._incoming
        recorded = instance.facts.get(message.fact.slot)
        counts = recorded is None or recorded.id == message.fact.id
        in_hand = {message.fact.slot: message.event} if counts else {}
        needed = {*step.triggers, *step.reads}
        if action.direction is Direction.UNDO:
            needed.update(step.done)
            needed.add(instance.turned_by or "")
        needed &= instance.facts.keys()
        if needed <= in_hand.keys():
            return in_hand
        row = await self._row(events=True)
        stored = {} if row is None else row.events
        return in_hand | {
            slot: self._decoded(instance.facts[slot].type, stored[slot])
            for slot in needed - in_hand.keys()
            if slot in stored
        }

    def _decoded(self, type_: str, stored: bytes) -> Event:
        _, payload = decode_event(stored)
        return decode_payload(self._incoming.saga.events[type_], type_, payload)


def _bound_ms(action: Action, instance: Instance) -> int | None:
    """The saga's deadline, where it bounds the action: on the way to the pivot."""
    bounds = action.direction is Direction.FORWARD and not instance.past_pivot
    return instance.deadline_ms if bounds else None
