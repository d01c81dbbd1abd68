"""Records as the world outside makes and sees them."""

from __future__ import annotations

from sagas.core.definition import START, Direction, Role
from sagas.core.errors import ContractViolation
from sagas.core.events import Event
from sagas.core.saga import Saga
from sagas.ports import OutgoingRecord, Record
from sagas.testing.history import DeadLetter
from sagas.wire.envelope import Envelope, encode_headers
from sagas.wire.ids import digest_of, event_id
from sagas.wire.topics import Topics

__all__ = ["dead_letter_of", "outside_record"]


def outside_record(
    topics: Topics, event: Event, saga: type[Saga] | None, saga_id: str | None, now_ms: int
) -> OutgoingRecord:
    """An event on its publisher's topic; of a saga, with the id that its service would give it.

    Raises ContractViolation for an event that is no outcome of the saga.
    """
    topic, payload = topics.events(event.publisher()), event.model_dump_json().encode()
    if saga is None or saga_id is None:
        return OutgoingRecord(topic, None, payload, (("ce_type", event.event_type.encode()),))
    outcome = saga.definition.outcome_of.get(event.event_type)
    if outcome is None:
        raise ContractViolation(f"{event.event_type} is no outcome of a step of {saga.__name__}.")
    direction = Direction.UNDO if outcome.role is Role.UNDONE else Direction.FORWARD
    told = outcome.role in {Role.DONE, Role.REFUSED}
    outside = told and (outcome.step == START or saga.definition.by_name[outcome.step].waits)
    envelope = Envelope(
        id=event_id(
            *(saga.name, saga_id, event.event_type),
            step=outcome.step,
            direction=direction,
            content=digest_of(payload) if outside else None,
        ),
        type=event.event_type,
        source=saga.definition.by_name[outcome.step].service,
        time_ms=now_ms,
        saga=saga.name,
        saga_id=saga_id,
        payload=payload,
        fingerprint=saga.definition.fingerprint,
        status=None if outcome.step == START else "RUNNING",
    )
    topic = topics.events(saga.definition.by_name[outcome.step].service)
    return OutgoingRecord(topic, saga_id.encode(), payload, encode_headers(envelope))


def dead_letter_of(service: str, record: Record) -> DeadLetter:
    """A record of a dead-letter topic, read."""

    def text(name: str) -> str:
        return dict(record.headers).get(name, b"").decode(errors="replace")

    return DeadLetter(
        service=service,
        topic=text("dlq-topic"),
        reason=text("dlq-reason"),
        exception=text("dlq-exception"),
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
