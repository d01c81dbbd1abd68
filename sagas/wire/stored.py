"""How the table keeps an instance: its compact state, and each recorded event as the bytes that were, or
will be, on Kafka.

Owns both encodings. The state holds what the semantics need and no payload; it is small, because every
step reads and writes it.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from pydantic_core import SchemaValidator, ValidationError, core_schema, from_json, to_json

from sagas.core.definition import (
    SAGA_CANCELLED,
    SAGA_EXPIRED,
    SAGA_PARKED,
    SAGA_RESUMED,
    STEP_FAILED,
    STEP_TIMED_OUT,
    UNDO_AGAIN,
    UNDO_FAILED,
    Definition,
    Direction,
    Outcome,
    Role,
)
from sagas.core.errors import ContractViolation
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.position import Position
from sagas.core.printable import printable
from sagas.core.unfolding import Place, places_of
from sagas.wire.envelope import TIME_MS_MAX, Envelope, Trail
from sagas.wire.notes import heartbeats_of
from sagas.wire.retiring import ID_DIGITS, unpacked, without_retired

__all__ = [
    "decode_event",
    "decode_instance",
    "decode_position",
    "encode_event",
    "encode_instance",
    "encode_position",
    "fingerprint_of",
]

_FRAMEWORK_ROLES = {
    STEP_FAILED: Role.FAILED,
    STEP_TIMED_OUT: Role.FAILED,
    SAGA_EXPIRED: Role.CANCELLED,
    SAGA_CANCELLED: Role.CANCELLED,
    SAGA_PARKED: Role.PARKED,
    SAGA_RESUMED: Role.RESUMED,
    UNDO_FAILED: Role.UNDO_FAILED,
    UNDO_AGAIN: Role.AGAIN,
}
_PUBLISHED, _ASSUMED, _FOLDED = 1, 2, 4


def encode_instance(instance: Instance) -> bytes:
    """As ``encode_position``, of an instance in full."""
    return encode_position(Position.of(instance))


def encode_position(position: Position) -> bytes:
    """Two lines of JSON: where the instance stands, the same for all that stand there; and what is its own.

    The first is phase, turn, steps in flight, parkings, and one short list per recorded event: type, flags,
    cause, and of a framework event step, direction and epoch. Events are named by their numbers, causes
    that are none by -1, -2 and so on. The second is the deadline, ids, times, and those other causes.
    Every time but the first event's is in milliseconds after it; once the saga has ended, and the row is
    left alone, our own ids are one text of base64.
    """
    place = position.place
    code = place.code
    if code is None:
        code = place.code = _encode_place(place)
    times, deadline_ms = position.times, position.deadline_ms
    if times:
        first = times[0]
        times = (first, *map(first.__rsub__, times[1:]))
        deadline_ms = None if deadline_ms is None else deadline_ms - first
    ids = _packed(position.ids) if place.status in _ENDED else position.ids
    return code + b"\n" + to_json((deadline_ms, ids, times, position.outside))


_ENDED = frozenset(status for status in SagaStatus if status.is_terminal)


def _packed(ids: Sequence[str]) -> Sequence[str]:
    """Ids of thirty-two hex digits each as one text, three fifths as long; others as they are."""
    digits = "".join(ids)
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return ids
    if raw.hex() != digits or any(len(one) != ID_DIGITS for one in ids):
        return ids
    return b2a_base64(raw, newline=False).decode()


def _encode_place(place: Place) -> bytes:
    model, slots = place.model, place.slots
    turned_by = None if model.turned_by is None else slots[model.turned_by]
    parked = [slots[slot] for slot in model.parked]
    facts = [_encode_fact(model, index, fact) for index, fact in enumerate(place.facts)]
    return to_json([model.phase, turned_by, sorted(model.in_flight), parked, facts])


def _encode_fact(model: Instance, index: int, fact: Fact) -> list[object]:
    flags = _PUBLISHED * fact.published + _ASSUMED * fact.assumed + _FOLDED * fact.folded
    cause = None if fact.cause is None else _number_of(fact.cause)
    columns: list[object] = [fact.travels_as, flags, cause]
    same = _number_of(fact.id)
    if fact.type not in model.definition.outcome_of or fact.epoch or same != index:
        columns += [fact.step, fact.direction, fact.epoch]
    return columns if same == index else [*columns, same]


def _number_of(name: str) -> int:
    number = int(name[1:])
    return number if name[0] == "#" else -1 - number


def decode_instance(
    definition: Definition,
    saga_id: str,
    state: bytes,
    *,
    notes: Mapping[str, str] = MappingProxyType({}),
    generation: int = 1,
    version: int = 0,
) -> Instance:
    """As ``decode_position``, the instance in full."""
    return decode_position(
        definition, saga_id, state, notes=notes, generation=generation, version=version
    ).instance


def decode_position(
    definition: Definition,
    saga_id: str,
    state: bytes,
    *,
    notes: Mapping[str, str] = MappingProxyType({}),
    generation: int = 1,
    version: int = 0,
) -> Position:
    """What ``encode_position`` wrote, under the stamp of its row, with the heartbeats that the row's notes
    tell of.

    Raises ContractViolation for a state with an event or a step that the definition does not know, which
    was written by another version of the saga, and for one that nobody of ours has written.
    """
    if definition.retired:
        state = without_retired(definition.retired, state)
    code, _, own = state.partition(b"\n")
    places = places_of(definition)
    try:
        place = places.by_code.get(code)
        if place is None:
            place = places.keep(code, _decode_place(definition, saga_id, code))
        deadline_ms, ids, times, outside = _OWN.validate_json(own)
        if type(ids) is str:
            ids = tuple(unpacked(ids))
        if times:
            first = times[0]
            times = (first, *map(first.__add__, times[1:]))
            deadline_ms = None if deadline_ms is None else first + deadline_ms
        moments = times if deadline_ms is None else (*times, deadline_ms)
        count = len(place.facts)
        if len(ids) != count or len(times) != count:
            raise ValueError(f"{count} events with {len(ids)} ids and {len(times)} times")
        if len(outside) < place.outside:
            raise ValueError("a cause is missing")
        if moments and (min(moments) < 0 or max(moments) >= TIME_MS_MAX):
            raise ValueError("a time that nobody can write down")
    except (ValueError, TypeError) as error:
        seen = printable(f"{type(error).__name__}: {_words_of(error)}", chars_max=200)
        raise ContractViolation(
            f"The row of {definition.saga} {saga_id!r} in the saga table is damaged ({seen}). What is in "
            "it was not written by this framework; Kafka has the saga's events."
        ) from error
    heartbeats = heartbeats_of(notes) if notes else _NONE
    # fmt: off
    return tuple.__new__(  # the Python function that makes a named tuple costs as much again
        Position,
        (definition, saga_id, place, ids, times, outside, deadline_ms, generation, version,
         heartbeats),
    )
    # fmt: on


_NONE: Mapping[str, int] = MappingProxyType({})
_TEXT, _NUMBER = core_schema.str_schema(strict=True), core_schema.int_schema(strict=True)


def _all_of(schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
    return core_schema.tuple_schema([schema], variadic_item_index=0, fail_fast=True)


_OWN = SchemaValidator(
    core_schema.tuple_schema(
        [
            core_schema.nullable_schema(_NUMBER),
            core_schema.union_schema([_all_of(_TEXT), _TEXT], mode="left_to_right"),
            _all_of(_NUMBER),
            _all_of(_TEXT),
        ]
    )
)
"""Deadline, ids, times and outside causes: reads and checks them in one call, at every step."""


def _words_of(error: Exception) -> str:
    """What is wrong, and nothing of the value."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))} {first['msg']}"


def _decode_place(definition: Definition, saga_id: str, code: bytes) -> Place:
    """Raises ContractViolation for an event that the definition does not know, ValueError or TypeError."""
    phase, turned_by, in_flight, parked, rows = from_json(code)
    facts = [_fact(definition, saga_id, index, len(rows), *row) for index, row in enumerate(rows)]
    by_slot = {fact.slot: fact for fact in facts}
    if len(by_slot) < len(facts):
        raise ValueError("it has an event twice")
    for number in parked if turned_by is None else (*parked, turned_by):
        _check_number(number, 0, len(facts))
    if definition.retired:  # steps that are gone have nothing to undo
        in_flight = [step for step in in_flight if step in definition.by_name]
    for step in in_flight:
        if step not in definition.by_name:
            raise ValueError(f"it names a step {step!r:.80} that the saga does not have")
    return Place(
        Instance(
            definition=definition,
            saga_id="",
            facts=by_slot,
            phase=SagaStatus(phase),
            turned_by=None if turned_by is None else facts[turned_by].slot,
            in_flight=frozenset(in_flight),
            parked=tuple(facts[number].slot for number in parked),
        )
    )


def _fact(  # noqa: PLR0917 - one parameter per stored column, in its order
    definition: Definition,
    saga_id: str,
    index: int,
    count: int,
    type_: str,
    flags: int,
    cause: int | None,
    step: str | None = None,
    direction: str | None = None,
    epoch: int = 0,
    same: int | None = None,
) -> Fact:
    outcome, written = definition.outcome_of.get(type_), ""
    if outcome is None and type_ in definition.current_of:
        type_, written = definition.current_of[type_], type_
        outcome = definition.outcome_of.get(type_)
    if outcome is None and step is not None and type_ in _FRAMEWORK_ROLES:
        outcome = Outcome(step, _FRAMEWORK_ROLES[type_])
    if outcome is None:
        raise ContractViolation(
            f"The instance {saga_id!r} of {definition.saga} has recorded {type_!s:.80}, which this version "
            "of the saga does not know. Run the version that wrote it, or declare the event."
        )
    if outcome.step not in definition.by_name:
        raise ValueError(f"it names a step {outcome.step!r:.80} that the saga does not have")
    _check_number(flags, 0, 8)
    _check_number(epoch, 0, TIME_MS_MAX)
    if cause is not None:
        _check_number(cause, -1 - count, count)
    if same is not None:
        _check_number(same, 0, index)
    if direction is None:
        direction = Direction.UNDO if outcome.role is Role.UNDONE else Direction.FORWARD
    return Fact(
        f"#{index if same is None else same}",
        *(type_, outcome.step, outcome.role),
        None if cause is None else f"#{cause}" if cause >= 0 else f"@{-1 - cause}",
        _DIRECTIONS[direction],
        published=bool(flags & _PUBLISHED),
        assumed=bool(flags & _ASSUMED),
        epoch=epoch,
        folded=bool(flags & _FOLDED),
        written=written,
    )


def _check_number(number: object, least: int, below: int) -> None:
    if type(number) is not int or not least <= number < below:
        raise ValueError(f"{number!r:.80} is no number from {least} to {below - 1}")


_DIRECTIONS = {str(direction): direction for direction in Direction}


def encode_event(envelope: Envelope) -> bytes:
    """An event as the row of its instance keeps it: a line with what only it says, then the payload.

    Saga and saga id are the row's; type, id, time and cause are in its state. What is usual at the line's
    end is left out: three events of a live instance cost 600 bytes less than with all fields. What is
    published again is encoded from it anew, and is the same.
    """
    # fmt: off
    (_, _, source, _, _, saga_id, payload, _, fingerprint, seq, generation, epoch, assumed, status,
     folded, (correlation_id, tenant, deadline_ms, traceparent, tracestate)) = envelope
    # fmt: on
    line: tuple[object, ...]
    line = (source, fingerprint, seq, generation, status, traceparent, deadline_ms)
    if epoch or assumed or folded or tenant is not None or tracestate is not None:
        correlation = _SAME if correlation_id == saga_id else correlation_id
        line += (correlation, tenant, epoch, assumed, folded)
        line += () if tracestate is None else (tracestate,)
    elif correlation_id != saga_id:
        line += (correlation_id,)
    return to_json(line) + b"\n" + payload


_SAME = 0
"""Stands for the saga id."""
_USUAL: tuple[object, ...] = (_SAME, None, 0, False, (), None)


def decode_event(stored: bytes, saga: str, saga_id: str, fact: Fact) -> Envelope:
    """What ``encode_event`` stored in the row of that instance, of the fact that its state has in that slot.

    Raises ContractViolation for what nobody of ours has stored.
    """
    line, _, payload = stored.partition(b"\n")
    try:
        fields = from_json(line)
        source, fingerprint, seq, generation, status, traceparent, deadline_ms = fields[:7]
        rest = (*fields[7:], *_USUAL[len(fields) - 7 :])
        correlation_id, tenant, epoch, assumed, folded, tracestate = rest
        correlation_id = saga_id if correlation_id == _SAME else correlation_id
        if any(type(one) is not str for one in (source, *folded)):
            raise TypeError("a name is no text")
        for text in (fingerprint, status, correlation_id, tenant, traceparent, tracestate):
            if text is not None and type(text) is not str:
                raise TypeError("a text is none")
        for number in (seq, generation, epoch, deadline_ms or 0):
            _check_number(number, 0, TIME_MS_MAX)
        return Envelope(
            *(
                fact.id,
                fact.travels_as,
                source,
                fact.at_ms,
                saga,
                saga_id,
                payload,
                fact.cause,
                fingerprint,
            ),
            *(seq, generation, epoch, bool(assumed), status, tuple(folded)),
            Trail(correlation_id, tenant, deadline_ms, traceparent, tracestate),
        )
    except (ValueError, TypeError) as error:
        seen = printable(f"{type(error).__name__}: {error}", chars_max=200)
        raise ContractViolation(
            f"An event in the saga table is damaged ({seen}). What is in it was not written by this "
            "framework; Kafka has the saga's events."
        ) from error


def fingerprint_of(stored: Iterable[bytes]) -> str | None:
    """The definition under which the first of a row's events was recorded, as they say: None if none does.

    For whoever has not that definition, so that the state tells nothing. Raises ContractViolation.
    """
    envelopes = [decode_event(one, "", "", _NOBODYS) for one in stored]
    said = ((one.generation, one.seq, one.fingerprint) for one in envelopes if one.fingerprint)
    return min(said, default=(0, 0, None))[2]


_NOBODYS = Fact("", "", "", Role.DONE)
