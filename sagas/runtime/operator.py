"""What operators can ask of a saga: cancel, resume, skip; and what would come of it.

Owns the control messages of people. Nothing is decided here: a participant does, when it handles the
message (rule 6). A dry run asks the same pure function.
"""

from __future__ import annotations

from dataclasses import dataclass

from sagas.core.controls import Control, decide_control
from sagas.core.decide import Emission
from sagas.core.definition import START, Direction
from sagas.core.events import Event
from sagas.core.evolve import evolve
from sagas.core.framework_events import control_of
from sagas.core.instance import Fact, Instance
from sagas.core.saga import Saga
from sagas.ports import Broker, Clock, Ids, OutgoingRecord, SagaTable
from sagas.wire.envelope import Envelope, encode_headers
from sagas.wire.ids import digest_of, event_id
from sagas.wire.stored import decode_instance
from sagas.wire.topics import Topics

__all__ = ["Operator", "Outlook", "outlook_of", "request_id", "request_record"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a request would lead to: the events that would be emitted, and where that leaves the saga."""

    emissions: tuple[Emission, ...]
    before: Instance
    after: Instance

    @property
    def possible(self) -> bool:
        """Whether anything would come of the request."""
        return bool(self.emissions)


class Operator:
    """Asks on behalf of somebody. Every request is recorded with who and why by what it leads to."""

    def __init__(
        self, *, topics: Topics, broker: Broker, table: SagaTable, clock: Clock, ids: Ids
    ) -> None:
        self._topics = topics
        self._broker = broker
        self._table = table
        self._clock = clock
        self._ids = ids

    async def outlook(self, saga: type[Saga], saga_id: str, request: Event) -> Outlook | None:
        """What the request would lead to now; None for a saga of which nothing is known.

        Changes nothing. Another event may come first, so the outcome may be another one.
        """
        row = await self._table.load(saga.definition.saga, saga_id)
        control = control_of(request)
        if row is None or control is None:
            return None
        before = decode_instance(saga.definition, saga_id, row.state, notes=row.notes)
        return outlook_of(before, control, self._clock.now_ms())

    async def ask(self, saga: str, saga_id: str, request: Event) -> str:
        """Publish the request and return its id, which the events that it leads to name as their cause.

        At-least-once; a second one finds nothing to do.
        """
        id_, now_ms = self._ids.new(), self._clock.now_ms()
        await self._broker.publish(
            request_record(self._topics, saga, saga_id, request, id_=id_, now_ms=now_ms)
        )
        return id_


def request_record(
    topics: Topics, saga: str, saga_id: str, request: Event, *, id_: str, now_ms: int
) -> OutgoingRecord:
    """The control message that asks for something."""
    envelope = Envelope(
        id=id_,
        type=request.event_type,
        source="operator",
        time_ms=now_ms,
        saga=saga,
        saga_id=saga_id,
        payload=request.model_dump_json().encode(),
    )
    return OutgoingRecord(
        topics.control(saga), saga_id.encode(), envelope.payload, encode_headers(envelope)
    )


def request_id(saga: str, saga_id: str, request: Event) -> str:
    """The id of a request that is the same however often it is made."""
    content = digest_of(request.model_dump_json().encode())
    return event_id(
        *(saga, saga_id, request.event_type),
        step=START,
        direction=Direction.FORWARD,
        content=content,
    )


def outlook_of(instance: Instance, control: Control, now_ms: int) -> Outlook:
    """What would follow from a control message, by the function that decides it."""
    emissions: list[Emission] = []
    after = instance
    while (emission := decide_control(after, control)) is not None:
        fact = Fact(
            *(f"outlook {len(emissions)}", emission.type, emission.step, emission.role),
            *("request", emission.direction),
            at_ms=now_ms,
            epoch=emission.epoch,
        )
        if fact.slot in after.facts:
            break
        emissions.append(emission)
        after = evolve(after, fact)
    return Outlook(tuple(emissions), instance, after)
