"""From a record to a message that the core understands, or to an InvalidMessage that says why not.

Owns what is accepted from outside: size, headers, type, payload, saga key. Nothing an outside producer
sends may raise anything else, block, or be decoded without a bound.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from pydantic import ValidationError

from sagas.core.controls import Cancel, Control
from sagas.core.definition import START, Direction, Role
from sagas.core.errors import InvalidMessage
from sagas.core.events import Event, is_read_plainly
from sagas.core.framework_events import (
    CONTROL_EVENTS,
    SagaCancelled,
    SagaExpired,
    SagaParked,
    SagaResumed,
    StepFailed,
    StepTimedOut,
    UndoAgain,
    UndoFailed,
    control_of,
    wakes,
)
from sagas.core.instance import Fact
from sagas.core.printable import printable
from sagas.core.saga import Saga
from sagas.core.starts import KEY_CHARS_MAX, checked_key, checked_saga_id, key_of_instance
from sagas.core.upcasting import Upcasting
from sagas.wire.envelope import Envelope
from sagas.wire.ids import digest_of, event_id
from sagas.wire.trace import context_of

__all__ = [
    "VALUE_BYTES_MAX",
    "Incoming",
    "decode_cancellation",
    "decode_former",
    "decode_incoming",
    "decode_payload",
    "event_of",
    "key_of",
]

VALUE_BYTES_MAX = 900_000
"""A larger value is dead-lettered. It leaves room for the failure's headers under Kafka's own megabyte."""


class Incoming(NamedTuple):
    """A message of one saga instance: its envelope, complete, and the fact that the core folds.

    ``named`` says whether the message itself said which instance; a start from outside need not.
    """

    saga: type[Saga]
    envelope: Envelope
    saga_id: str
    fact: Fact
    event: Event
    control: Control | None = None
    named: bool = True

    @property
    def starts(self) -> bool:
        """Whether it is the start of its instance."""
        return self.fact.step == START and self.fact.role is Role.DONE

    def of_run(self, saga_id: str) -> Incoming:
        """The same message, of another run of the key."""
        return self._replace(saga_id=saga_id, envelope=self.envelope._replace(saga_id=saga_id))


def decode_incoming(envelope: Envelope, saga: type[Saga], type_: str) -> Incoming:
    """The message that an envelope carries for ``saga``. Raises InvalidMessage.

    ``type_`` is the event type by its header or, where there is none, by the contract of the topic. On a
    start, what the producer left out is filled in: saga name and id, event id, trace.
    """
    kind = _kind_of(saga, type_)
    if kind is None:
        return _decode_other(envelope, saga, type_)
    model, plain, key_field, step, role, direction, starts, with_epoch, otherwise = kind
    # fmt: off
    (id_, said_type, _, time_ms, said_saga, saga_id, payload, cause, _, _, _, epoch, assumed, _, _,
     _) = envelope
    # fmt: on
    if plain and len(payload) <= VALUE_BYTES_MAX:
        try:  # without pydantic's two layers of Python
            event: Event = model.__pydantic_validator__.validate_json(payload)
        except (ValueError, RecursionError):
            event = decode_payload(model, type_, payload)  # says what is wrong
    else:
        event = decode_payload(model, type_, payload)
    key = getattr(event, key_field)
    if type(key) is not str:
        key = str(key)
    # Of the first run of its key, complete, and its id and key so short and plain that no rule can forbid
    # them: nearly all are. The others are looked at closely.
    if key and key == saga_id and id_ and said_type and said_saga and "~" not in key:
        seen = id_ + key
        if len(seen) <= KEY_CHARS_MAX and seen.isprintable():
            if starts:
                envelope = _in_a_trace(envelope, saga.definition.saga, saga_id)
            # The Python function that makes a named tuple costs as much again as the tuple.
            # fmt: off
            fact = tuple.__new__(
                Fact,
                (id_, type_, step, role, cause, direction, True, time_ms, assumed and otherwise,
                 epoch if with_epoch else 0, not starts, ""),
            )
            # fmt: on
            return tuple.__new__(Incoming, (saga, envelope, saga_id, fact, event, None, True))
    return _completed(envelope, saga, type_, event)


class _Kind(NamedTuple):
    """What all events of a type are to a saga. ``plain``: pydantic alone reads their JSON; ``starts``: they
    begin an instance; ``with_epoch``: it may be a later one; ``otherwise``: maybe no handler returned them.
    """

    model: type[Event]
    plain: bool
    key: str
    step: str
    role: Role
    direction: Direction
    starts: bool
    with_epoch: bool
    otherwise: bool


@lru_cache(maxsize=1024)
def _kind_of(saga: type[Saga], type_: str) -> _Kind | None:
    """None for the framework's own events, former versions, and what the saga does not know."""
    definition, model = saga.definition, saga.events.get(type_)
    outcome = definition.outcome_of.get(type_)
    if type_ in CONTROL_EVENTS or model is None or outcome is None:
        return None
    step, role = outcome.step, outcome.role
    return _Kind(
        model,
        is_read_plainly(model),
        definition.key,
        step,
        role,
        _direction_of(role),
        starts=step == START and role is Role.DONE,
        with_epoch=role in _WITH_EPOCH,
        otherwise=role is Role.OTHERWISE,
    )


def _direction_of(role: Role) -> Direction:
    return Direction.UNDO if role is Role.UNDONE else Direction.FORWARD


def _decode_other(envelope: Envelope, saga: type[Saga], type_: str) -> Incoming:
    if type_ in CONTROL_EVENTS:
        return _decode_control(envelope, saga, type_)
    return _completed(envelope, saga, type_, event_of(saga, type_, envelope.payload))


def _completed(envelope: Envelope, saga: type[Saga], type_: str, event: Event) -> Incoming:
    """A message by all the rules; what may be left out is filled in."""
    definition, written = saga.definition, ""
    outcome = definition.outcome_of.get(type_)
    if outcome is None and type_ in saga.formers:
        type_, written = event.event_type, type_
        outcome = definition.outcome_of.get(type_)
    if outcome is not None:
        role, step = outcome.role, outcome.step
        direction = _direction_of(role)
        saga_id = _saga_id(envelope, key_of(event, definition.key), starts=step == START)
    else:
        role, step, direction = _framework_fact(saga, event)
        saga_id = _saga_id(envelope, None, starts=False)
    id_ = _checked_id(envelope.id, type_) or event_id(
        *(definition.saga, saga_id, written or type_),
        step=step,
        direction=direction,
        epoch=envelope.epoch,
        content=_content(envelope, saga, step, role),
    )
    named = envelope.saga_id is not None
    if not (envelope.id and envelope.type and envelope.saga and envelope.saga_id):
        named_as = written or type_
        envelope = envelope._replace(id=id_, type=named_as, saga=definition.saga, saga_id=saga_id)
    if step == START and role is Role.DONE:
        envelope = _in_a_trace(envelope, definition.saga, saga_id)
    fact = Fact(
        *(id_, type_, step, role, envelope.causation_id, direction),
        published=True,
        at_ms=envelope.time_ms,
        assumed=envelope.assumed and role is Role.OTHERWISE,
        epoch=envelope.epoch if role in _WITH_EPOCH else 0,
        folded=not (role is Role.DONE and step == START),
    )
    if written:
        fact = fact._replace(written=written)
    return Incoming(saga, envelope, saga_id, fact, event, named=named)


def _in_a_trace(envelope: Envelope, saga: str, saga_id: str) -> Envelope:
    """A start; one without a trace gets one of its own, for all services the same."""
    trail = envelope.trail
    traceparent = context_of(trail.traceparent, saga, saga_id)
    if traceparent == trail.traceparent:
        return envelope
    return envelope._replace(trail=trail._replace(traceparent=traceparent, tracestate=None))


def decode_cancellation(envelope: Envelope, saga: type[Saga], type_: str) -> Incoming:
    """What an event that cancels the saga asks of the instance that its header names, or else of its key.

    It acts like an operator's request, and is never recorded. ``named`` is False where it has the key only:
    then any run of it may be meant. Raises InvalidMessage.
    """
    definition = saga.definition
    event = event_of(saga, type_, envelope.payload)
    key = key_of(event, definition.key)
    named = envelope.saga == definition.saga and envelope.saga_id is not None
    saga_id = _saga_id(envelope, key, starts=False) if named else key
    id_ = _checked_id(envelope.id, type_) or event_id(
        *(definition.saga, saga_id, type_),
        step=START,
        direction=Direction.FORWARD,
        content=f"{digest_of(envelope.payload)}/{envelope.time_ms}",
    )
    envelope = envelope._replace(id=id_, type=type_, saga=definition.saga, saga_id=saga_id)
    fact = Fact(id_, type_, START, Role.CONTROL, published=True, at_ms=envelope.time_ms)
    return Incoming(saga, envelope, saga_id, fact, event, Cancel(), named=named)


def _content(envelope: Envelope, saga: type[Saga], step: str, role: Role) -> str | None:
    """What tells two events apart that nobody has decided on: starts, and answers to a wait."""
    outside = step == START or saga.definition.by_name[step].waits
    return digest_of(envelope.payload) if outside and role in _FROM_OUTSIDE else None


_FROM_OUTSIDE = frozenset({Role.DONE, Role.REFUSED})


_WITH_EPOCH = frozenset({Role.UNDONE, Role.UNDO_FAILED, Role.AGAIN})


def _decode_control(envelope: Envelope, saga: type[Saga], type_: str) -> Incoming:
    """A control message: it belongs to an instance and is never recorded."""
    event = decode_payload(CONTROL_EVENTS[type_], type_, envelope.payload)
    saga_id = checked_saga_id(envelope.saga_id or "", f"The saga id of {type_}")
    if not _checked_id(envelope.id, type_):
        raise InvalidMessage(f"{type_} has no id; set the header ce_id to something unique.")
    role = Role.WAKE if wakes(event) else Role.CONTROL
    fact = Fact(envelope.id, type_, START, role, published=True, at_ms=envelope.time_ms)
    return Incoming(saga, envelope, saga_id, fact, event, control_of(event))


def _saga_id(envelope: Envelope, key: str | None, *, starts: bool) -> str:
    """The header's saga id, which is that of the business key, or of a run of it; a start may leave it out.

    The framework's own events carry no key.
    """
    if envelope.saga_id is None:
        if starts and key is not None:
            return key
        raise InvalidMessage(
            f"{envelope.type} says no saga id; set the header ce_sagaid. Only a start may leave it out."
        )
    if envelope.saga_id == key:
        return key  # it was checked as a key, which is the id of the first run
    if key is not None and key_of_instance(envelope.saga_id) != key:
        raise InvalidMessage(
            f"The header ce_sagaid of {envelope.type} is {envelope.saga_id[:80]!r}, but the key in its "
            f"payload is {key!r}; they name the same saga."
        )
    return checked_saga_id(envelope.saga_id, f"The saga id of {envelope.type}")


def event_of(saga: type[Saga], type_: str, payload: bytes) -> Event:
    """The payload of an event that is called so on the wire, as the saga knows it now: one of a former
    version is upcast. Raises InvalidMessage in the words of the contract.
    """
    model = saga.events.get(type_)
    if model is not None:
        return decode_payload(model, type_, payload)
    if type_ in saga.formers:
        return decode_former(saga.formers[type_], payload)
    raise InvalidMessage(
        f"{saga.definition.saga} knows no event {type_!r}; it knows {', '.join(saga.events)}."
    )


def decode_former(way: Upcasting, payload: bytes) -> Event:
    """A payload of a former version as the current one.

    Raises InvalidMessage for a payload that does not fit the former version, and where a function that
    upcasts raises an exception, or gives something else than it should.
    """
    former = way.former.event_type
    event = decode_payload(way.former, former, payload)
    for function, expected in way.functions:
        before, said = event.event_type, f"{former} can not be made {way.current.event_type}"
        try:
            event = function(event)
        except Exception as error:
            seen = printable(f"{type(error).__name__}: {error}", chars_max=500)
            raise InvalidMessage(
                f"{said}: {function.__qualname__}, which upcasts {before}, raised {seen}. Mend the function, "
                "and replay the dead letter."
            ) from error
        if type(event) is not expected:
            raise InvalidMessage(
                f"{said}: {function.__qualname__}, which upcasts {before}, returned {event!r:.200}; expected "
                f"{expected.__qualname__}. Mend the function, and replay the dead letter."
            )
    return event


def decode_payload(model: type[Event], type_: str, payload: bytes) -> Event:
    """A payload as its model.

    Raises InvalidMessage for one that is missing or too large, or naming the first fields that do not fit.
    """
    if not payload:
        raise InvalidMessage(f"{type_} has no value; expected its payload as a JSON object.")
    if len(payload) > VALUE_BYTES_MAX:
        raise InvalidMessage(
            f"{type_} has {len(payload)} bytes; at most {VALUE_BYTES_MAX} are accepted. Keep "
            "large content elsewhere and send a reference to it."
        )
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        raise InvalidMessage(f"{type_} does not fit its contract: {_problems(error)}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"{type_} is not a JSON object: {error}") from error


def _problems(error: ValidationError) -> str:
    """The first of them. pydantic gives all or none, and a hundred times what the payload weighed."""
    count = error.error_count()
    if count > _PROBLEMS_MAX:
        return f"{count} values are wrong, too many to name one."
    return "; ".join(
        f"{printable('.'.join(map(str, problem['loc'])), chars_max=80) or 'payload'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)[
            :5
        ]
    )


_PROBLEMS_MAX = 1_000


def key_of(event: Event, key: str) -> str:
    """The business key of an event as a saga id. Raises InvalidMessage for an empty one."""
    return checked_key(str(getattr(event, key)), f"The field {key} of {event.event_type}")


def _checked_id(id_: str, type_: str) -> str:
    """The id if it can be recorded, and named as a cause by what follows. Raises InvalidMessage."""
    if len(id_) > _ID_MAX or not id_.isprintable():
        raise InvalidMessage(
            f"The header ce_id of {type_} is {id_[:80]!r} ({len(id_)} characters); an id has at most "
            f"{_ID_MAX} printable characters."
        )
    return id_


_ID_MAX = 500
"""In any alphabet, and with what we append, it fits into a header again: the causation id of what follows."""


def _framework_fact(saga: type[Saga], event: Event) -> tuple[Role, str, Direction]:
    match event:
        case StepFailed() | StepTimedOut():
            role, step, direction = Role.FAILED, event.step, Direction.FORWARD
        case SagaParked():
            role, step, direction = Role.PARKED, event.step, event.direction
        case UndoFailed():
            role, step, direction = Role.UNDO_FAILED, event.step, Direction.UNDO
        case UndoAgain():
            role, step, direction = Role.AGAIN, event.step, Direction.UNDO
        case SagaExpired() | SagaCancelled():
            return Role.CANCELLED, START, Direction.FORWARD
        case SagaResumed():
            return Role.RESUMED, START, Direction.FORWARD
        case _:
            raise InvalidMessage(f"{event.event_type} is no event of {saga.definition.saga}.")
    if step not in saga.definition.by_name:
        raise InvalidMessage(
            f"{event.event_type} names the step {step[:80]!r}, which {saga.definition.saga} has not."
        )
    return role, step, direction
