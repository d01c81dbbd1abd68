"""What a handler is called with: the events of its action, its context, and its attempts.

Owns which recorded events an action gets, and from where: the message in hand where that is enough, or else
the row, or the topics for what the row keeps no bytes of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from sagas.context import StepContext
from sagas.core.definition import START, Direction, Join, StepDefinition
from sagas.core.enabled import Action
from sagas.core.errors import InvalidMessage
from sagas.core.events import Event
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.core.refold import Found
from sagas.ports import Row
from sagas.runtime.attempts import Attempts
from sagas.runtime.execution import Call, Performed
from sagas.runtime.heartbeats import Heartbeats
from sagas.runtime.incoming import Incoming, event_of
from sagas.runtime.participant import Participant
from sagas.runtime.retention import journal_since_ms
from sagas.wire.ids import idempotency_key
from sagas.wire.stored import decode_event
from sagas.wire.trace import child_of

__all__ = ["Calling"]


class Calling:
    """Makes the calls that one message leads to.

    ``row`` reads the row with its events, ``stored`` what the topics have of the instance, by event id.
    ``trail`` is what travels with the saga, where the message in hand does not say it.
    """

    def __init__(
        self,
        participant: Participant,
        incoming: Incoming,
        attempts: Attempts,
        row: Callable[[], Awaitable[Row | None]],
        stored: Callable[[], Awaitable[Mapping[str, Found]]],
    ) -> None:
        self._participant = participant
        self._incoming = incoming
        self._attempts = attempts
        self._row = row
        self._stored = stored
        self.trail = incoming.envelope.trail

    def has_expired(self, action: Action, at: Position) -> bool:
        """Whether a forward step before the pivot comes too late to be begun."""
        bound_ms = _bound_ms(action, at)
        return bound_ms is not None and self._participant.clock.now_ms() > bound_ms

    async def call(
        self, action: Action, at: Position, *, performed: Performed | None, at_once: bool
    ) -> Call:
        """The call of an action's handler; ``performed`` is what was performed before it."""
        step, service = action.step, self._participant.service
        undo = action.direction is Direction.UNDO
        handlers = service.undoers if undo else service.performers
        events = await self._events(action, at)
        incoming, outcome = self._incoming, None
        if undo:
            outcome = next((events[type_] for type_ in step.done if type_ in events), None)
            if outcome is None:
                outcome = self._unrecorded(step, performed)
        starts = step.name == START
        made = 0 if at_once else self._attempts.made(action, at)
        definition = at.definition
        return Call(
            action,
            handlers[definition.saga, step.name],
            (outcome,) if starts and outcome is not None else _triggers(step, events),
            outcome,
            self._context(action, at, events, made + 1, at_once=at_once),
            incoming.saga.retries[step.name],
            definition.key,
            incoming.saga.events,
            lambda: self.has_expired(action, at),
            lambda number, error, pause_s: self._postpone(
                action, at, number, error, pause_s, at_once=at_once
            ),
            made,
            starts,
            journal_since_ms(at.times, keep_ended_ms=self._participant.keep_ended_ms),
            incoming.saga.formers,
        )

    async def _postpone(
        self,
        action: Action,
        at: Position,
        number: int,
        error: str,
        pause_s: float,
        *,
        at_once: bool,
    ) -> bool:
        if at_once:
            return False  # the outcome that is undone is in this process only
        return await self._attempts.failed(action, at, number, error, pause_s)

    def _unrecorded(self, step: StepDefinition, performed: Performed | None) -> Event | None:
        """The outcome in hand that came too late to be recorded, and is undone at once (rule 11)."""
        type_ = None if performed is None else performed.result.type
        if performed is None or type_ is None or type_ not in step.done:
            return None
        type_ = performed.result.written or type_
        return event_of(self._incoming.saga, type_, performed.payload)

    def _context(
        self,
        action: Action,
        at: Position,
        events: Mapping[str, Event],
        attempt: int,
        *,
        at_once: bool,
    ) -> StepContext:
        step, definition, saga_id, trail = action.step, at.definition, at.saga_id, self.trail
        key = idempotency_key(definition.saga, saga_id, step.name, action.direction, action.epoch)
        because = at.place.model.turned_by
        participant = self._participant
        return StepContext(
            saga=definition.saga,
            saga_id=saga_id,
            tenant=trail.tenant,
            correlation_id=trail.correlation_id or saga_id,
            causation_id=self._incoming.envelope.id,
            deadline_ms=at.deadline_ms,
            # Its own span where there is one; else what it belongs to.
            traceparent=trail.traceparent
            if participant.telemetry is None
            else child_of(trail.traceparent, key),
            status=str(at.status),
            resources=participant.resources,
            step=step.name,
            direction=action.direction,
            attempt=attempt,
            epoch=action.epoch,
            idempotency_key=key,
            because=None if because is None else events.get(at.instance.turned_by or ""),
            events={type_: events[type_] for type_ in step.reads if type_ in events},
            pulse=Heartbeats(
                action,
                at,
                deadline_ms=_bound_ms(action, at),
                table=participant.table,
                clock=participant.clock,
                at_once=at_once,
            ),
        )

    async def _events(self, action: Action, at: Position) -> Mapping[str, Event]:
        """The recorded events that a handler gets, by slot, decoded.

        A forward step whose only trigger is the message in hand needs none but that; anything else reads
        the recorded events of the row. Of two events for one place the recorded one counts, whichever is
        in hand: everybody acts on the same.
        """
        step, message = action.step, self._incoming
        index = at.index_of(message.fact)
        counts = index is None or at.ids[index] == message.fact.id
        in_hand = {message.fact.slot: message.event} if counts else {}
        needed = {*step.triggers, *step.reads}
        if action.direction is Direction.UNDO:
            instance = at.instance
            needed.update(step.done)
            needed.add(instance.turned_by or "")
            needed &= instance.facts.keys()
        else:
            needed &= at.place.slots.keys()
        if needed <= in_hand.keys():
            return in_hand
        row = await self._row()
        facts, stored = at.instance.facts, dict({} if row is None else row.events)
        if at.definition.upcasts:
            names = {fact.kept_as: slot for slot, fact in facts.items()}
            stored = {names.get(name, name): one for name, one in stored.items()}
        needed -= in_hand.keys()
        if not needed <= stored.keys():
            on_topics = await self._stored()
            for slot in sorted(needed - stored.keys()):
                if slot == at.instance.turned_by and facts[slot].id not in on_topics:
                    needed.discard(slot)  # it is told for information
                    continue
                stored[slot] = _found(facts[slot], at, on_topics)
        return in_hand | {slot: self._decoded(facts[slot], stored[slot]) for slot in needed}

    def _decoded(self, fact: Fact, stored: bytes) -> Event:
        incoming = self._incoming
        envelope = decode_event(stored, incoming.saga.name, incoming.saga_id, fact)
        return event_of(incoming.saga, envelope.type, envelope.payload)


def _found(fact: Fact, at: Position, on_topics: Mapping[str, Found]) -> bytes:
    """An event's bytes from the topics. Raises InvalidMessage if they have it no more."""
    found = on_topics.get(fact.id)
    if found is None:
        raise InvalidMessage(
            f"{fact.type} of {at.definition.saga} {at.saga_id!r}, which the handler needs, is neither in the "
            "saga table, which keeps no payloads of what has ended, nor on the topics any more: do by hand "
            "what its handler would have done."
        )
    return found.stored


def _triggers(step: StepDefinition, events: Mapping[str, Event]) -> tuple[Event, ...]:
    recorded = tuple(events[trigger] for trigger in step.triggers if trigger in events)
    return recorded[:1] if step.join is Join.ANY else recorded


def _bound_ms(action: Action, at: Position) -> int | None:
    """The saga's deadline, where it bounds the action: on the way to the pivot."""
    if at.deadline_ms is None or action.direction is Direction.UNDO or at.place.past_pivot:
        return None
    return at.deadline_ms
