"""The events that an action's handler is given.

Owns which recorded events an action gets, and from where: the message in hand where that is enough, or else
the row, or the topics for what the row keeps no bytes of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from sagas.core.definition import Direction, Join, StepDefinition
from sagas.core.enabled import Action
from sagas.core.errors import InvalidMessage
from sagas.core.events import Event
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.core.refold import Found
from sagas.ports import Row
from sagas.runtime.assignments import Assignment
from sagas.runtime.calls import Given
from sagas.runtime.execution import Performed
from sagas.runtime.incoming import Incoming, event_of
from sagas.wire.stored import decode_event

__all__ = ["Calling", "in_hand"]


def in_hand(assignment: Assignment, incoming: Incoming, at: Position) -> Given | None:
    """The message's own event, where a handler needs nothing else: nearly always. Else see ``Calling``."""
    fact = incoming.fact
    if fact.type != assignment.alone or at.ids[at.place.slots[fact.type]] != fact.id:
        return None
    return Given((incoming.event,))


class Calling:
    """Finds what the message in hand does not hold.

    ``row`` reads the row with its events, ``stored`` what the topics have of the instance, by event id.
    """

    def __init__(
        self,
        incoming: Incoming,
        row: Callable[[], Awaitable[Row | None]],
        stored: Callable[[], Awaitable[Mapping[str, Found]]],
    ) -> None:
        self._incoming = incoming
        self._row = row
        self._stored = stored

    async def given(
        self, assignment: Assignment, action: Action, at: Position, performed: Performed | None
    ) -> Given:
        """What the action's handler is given; ``performed`` is what was performed before it."""
        step, events = action.step, await self._events(action, at)
        if not assignment.undoes:
            return Given(_triggers(step, events), events=events)
        outcome = next((events[type_] for type_ in step.done if type_ in events), None)
        if outcome is None:
            outcome = self._unrecorded(step, performed)
        if assignment.starts and outcome is not None:
            return Given((outcome,), outcome, events)
        return Given(_triggers(step, events), outcome, events)

    def _unrecorded(self, step: StepDefinition, performed: Performed | None) -> Event | None:
        """The outcome in hand that came too late to be recorded, and is undone at once (rule 11)."""
        type_ = None if performed is None else performed.result.type
        if performed is None or type_ is None or type_ not in step.done:
            return None
        type_ = performed.result.written or type_
        return event_of(self._incoming.saga, type_, performed.payload)

    async def _events(self, action: Action, at: Position) -> Mapping[str, Event]:
        """The recorded events that a handler gets, by slot, decoded.

        What needs more than the message in hand reads the recorded events of the row. Of two events for one
        place the recorded one counts, whichever is in hand: everybody acts on the same.
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
