"""Records of events that come from outside a saga's handlers: starts, answers to a wait, cancellations.

Owns their form. Publishes nothing, and looks at no table.
"""

from __future__ import annotations

from collections.abc import Iterable

from sagas.core.completion import Completion
from sagas.core.definition import START, Definition, Direction, StepDefinition
from sagas.core.errors import ContractViolation
from sagas.core.events import Event
from sagas.core.saga import Saga
from sagas.core.starts import checked_saga_id, saga_id_of
from sagas.ports import OutgoingRecord
from sagas.runtime.incoming import key_of
from sagas.wire.envelope import Envelope, Trail, encode_headers
from sagas.wire.ids import digest_of, event_id
from sagas.wire.topics import Topics
from sagas.wire.trace import context_of

__all__ = [
    "cancellation_record",
    "checked_event",
    "completion_record",
    "start_record",
    "started_by",
]


def start_record(
    sagas: Iterable[type[Saga]],
    topics: Topics,
    event: Event,
    *,
    trail: Trail,
    now_ms: int,
    run: int = 1,
) -> tuple[str, OutgoingRecord]:
    """The saga id and the record that starts a saga, or the run of that number of its key. Raises
    ContractViolation for an event that starts none of the sagas, and InvalidMessage for an unusable
    business key.
    """
    definition = started_by(sagas, event).definition
    saga_id = saga_id_of(key_of(event, definition.key), run)
    record = _record(
        definition, definition.start, saga_id, event, topics=topics, trail=trail, now_ms=now_ms
    )
    return saga_id, record


def started_by(sagas: Iterable[type[Saga]], event: Event) -> type[Saga]:
    """The saga that the event starts. Raises ContractViolation for none, or several."""
    checked_event(event)
    type_ = event.event_type
    starting = [
        saga
        for saga in sagas
        if saga.definition.current_of.get(type_, type_) in saga.definition.start.done
    ]
    if len(starting) != 1:
        known = ", ".join(t for saga in sagas for t in saga.definition.start.done) or "nothing"
        raise ContractViolation(
            f"{event.event_type or type(event).__name__} starts {len(starting)} of the sagas that "
            f"this client knows; expected exactly one of {known}."
        )
    return starting[0]


def completion_record(
    completion: Completion, topics: Topics, *, trail: Trail, now_ms: int
) -> OutgoingRecord:
    """The record that completes, or refuses, a step that waits: on the topic of that step's service.

    Raises InvalidMessage for an unusable business key.
    """
    definition, event = completion.saga.definition, completion.event
    return _record(
        definition,
        definition.by_name[completion.step],
        checked_saga_id(completion.saga_id, f"The saga id of {event.event_type}"),
        event,
        topics=topics,
        trail=trail,
        now_ms=now_ms,
    )


def checked_event(event: object) -> None:
    """Raise ContractViolation, in words, for what is no event."""
    if isinstance(event, Event):
        return
    if isinstance(event, type):
        said = f"{event.__name__} is a class; give an event, such as {event.__name__}(...)"
    else:
        said = f"{event!r:.200} is no event; give an instance of an event's class"
    raise ContractViolation(f"{said}.")


def cancellation_record(
    sagas: Iterable[type[Saga]], topics: Topics, event: Event, *, trail: Trail, now_ms: int
) -> OutgoingRecord:
    """The record of an event that cancels sagas: on its publisher's topic, correlated by its key.

    Another one with the same content is another request. Raises ContractViolation for an event that
    cancels none of the sagas, and InvalidMessage for an unusable business key.
    """
    checked_event(event)
    known = [saga for saga in sagas if saga.cancelled_by is not None]
    asked = [saga for saga in known if saga.definition.cancelled_by == event.event_type]
    if not asked:
        names = ", ".join(saga.definition.cancelled_by or "" for saga in known) or "nothing"
        raise ContractViolation(
            f"{event.event_type or type(event).__name__} cancels none of the sagas that this client "
            f"knows; expected {names}. Declare it with cancelled_by=."
        )
    key, payload = key_of(event, asked[0].definition.key), event.model_dump_json().encode()
    id_ = event_id(
        *("", key, event.event_type),
        step=START,
        direction=Direction.FORWARD,
        content=f"{digest_of(payload)}/{now_ms}",
    )
    envelope = Envelope(
        id=id_,
        type=event.event_type,
        source=event.publisher(),
        time_ms=now_ms,
        saga=None,
        saga_id=None,
        payload=payload,
        trail=trail,
    )
    return OutgoingRecord(
        topics.events(event.publisher()), key.encode(), payload, encode_headers(envelope)
    )


def _in_a_trace(trail: Trail, saga: str, saga_id: str) -> Trail:
    """That of a start: what follows is in one trace, whoever handles it."""
    return trail._replace(traceparent=context_of(trail.traceparent, saga, saga_id))


def _record(
    definition: Definition,
    step: StepDefinition,
    saga_id: str,
    event: Event,
    *,
    topics: Topics,
    trail: Trail,
    now_ms: int,
) -> OutgoingRecord:
    """An event from outside the saga's handlers, as its step's service publishes it."""
    type_, payload = event.event_type, event.model_dump_json().encode()
    id_ = event_id(
        *(definition.saga, saga_id, type_),
        step=step.name,
        direction=Direction.FORWARD,
        content=digest_of(payload),
    )
    envelope = Envelope(
        id=id_,
        type=type_,
        source=step.service,
        time_ms=now_ms,
        saga=definition.saga,
        saga_id=saga_id,
        payload=payload,
        fingerprint=definition.fingerprint,
        trail=_in_a_trace(trail, definition.saga, saga_id) if step.name == START else trail,
    )
    return OutgoingRecord(
        topics.events(step.service), saga_id.encode(), envelope.payload, encode_headers(envelope)
    )
