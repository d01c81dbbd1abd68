"""How the table keeps an instance: its compact state, and each recorded event as the bytes that were, or
will be, on Kafka.

Owns both encodings. The state holds what the semantics need and no payload; it is small, because every
step reads and writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic_core import from_json, to_json

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
from sagas.core.printable import printable
from sagas.wire.envelope import TIME_MS_MAX
from sagas.wire.headers import Headers
from sagas.wire.notes import heartbeats_of

__all__ = ["decode_event", "decode_instance", "encode_event", "encode_instance"]

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
    """The compact state as JSON: phase, turn, steps in flight, parkings, and one short list per fact."""
    facts = [
        [
            fact.type,
            fact.id,
            fact.cause,
            fact.at_ms,
            _PUBLISHED * fact.published + _ASSUMED * fact.assumed + _FOLDED * fact.folded,
        ]
        if fact.type in instance.definition.outcome_of and not fact.epoch
        else [
            *(fact.type, fact.id, fact.cause, fact.at_ms),
            *(_PUBLISHED * fact.published + _FOLDED * fact.folded, fact.step),
            *(fact.direction, fact.epoch),
        ]
        for fact in instance.facts.values()
    ]
    return to_json(
        [
            *(instance.phase, instance.turned_by, sorted(instance.in_flight), instance.parked),
            *(instance.deadline_ms, facts),
        ]
    )


def decode_instance(
    definition: Definition,
    saga_id: str,
    state: bytes,
    *,
    notes: Mapping[str, str] = MappingProxyType({}),
    generation: int = 1,
    version: int = 0,
) -> Instance:
    """The instance that ``encode_instance`` wrote, under the stamp of its row, with the heartbeats that
    the row's notes tell of.

    Raises ContractViolation for a state with an event or a step that the definition does not know, which
    was written by another version of the saga, and for one that nobody of ours has written.
    """
    try:
        phase, turned_by, in_flight, parked, deadline_ms, rows = from_json(state)
        facts = [_fact(definition, saga_id, *row) for row in rows]
        instance = Instance(
            definition=definition,
            saga_id=saga_id,
            facts={fact.slot: fact for fact in facts},
            phase=SagaStatus(phase),
            turned_by=turned_by,
            in_flight=frozenset(in_flight),
            parked=tuple(parked),
            deadline_ms=deadline_ms,
            generation=generation,
            version=version,
            heartbeats=heartbeats_of(notes),
        )
        _check_whole(instance)
    except (ValueError, TypeError) as error:
        seen = printable(f"{type(error).__name__}: {error}", chars_max=200)
        raise ContractViolation(
            f"The row of {definition.saga} {saga_id!r} in the saga table is damaged ({seen}). What is in "
            "it was not written by this framework; Kafka has the saga's events."
        ) from error
    return instance


def _check_whole(instance: Instance) -> None:
    """What it names must be there. Raises ValueError."""
    facts, steps = instance.facts, instance.definition.by_name
    named = (*instance.parked, *(() if instance.turned_by is None else (instance.turned_by,)))
    for slot in named:
        if slot not in facts:
            raise ValueError(f"it names an event {slot!r:.80} that it does not have")
    for step in (*instance.in_flight, *(fact.step for fact in facts.values())):
        if step not in steps:
            raise ValueError(f"it names a step {step!r:.80} that the saga does not have")
    if instance.deadline_ms is not None:
        _check_time(instance.deadline_ms)


def _fact(  # noqa: PLR0917 - one parameter per stored column, in its order
    definition: Definition,
    saga_id: str,
    type_: str,
    id_: str,
    cause: str | None,
    at_ms: int,
    flags: int,
    step: str | None = None,
    direction: str | None = None,
    epoch: int = 0,
) -> Fact:
    outcome = definition.outcome_of.get(type_)
    if outcome is None and step is not None and type_ in _FRAMEWORK_ROLES:
        outcome = Outcome(step, _FRAMEWORK_ROLES[type_])
    if outcome is None:
        raise ContractViolation(
            f"The instance {saga_id!r} of {definition.saga} has recorded {type_!s:.80}, which this version "
            "of the saga does not know. Run the version that wrote it, or declare the event."
        )
    _check_column(id_, str)
    _check_column(flags, int)
    _check_column(epoch, int)
    if cause is not None:
        _check_column(cause, str)
    _check_time(at_ms)
    if direction is None:
        direction = Direction.UNDO if outcome.role is Role.UNDONE else Direction.FORWARD
    return Fact(
        *(id_, type_, outcome.step, outcome.role, cause, _DIRECTIONS[direction]),
        published=bool(flags & _PUBLISHED),
        at_ms=at_ms,
        assumed=bool(flags & _ASSUMED),
        epoch=epoch,
        folded=bool(flags & _FOLDED),
    )


def _check_column(value: object, kind: type) -> None:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.80} is no {kind.__name__}")


def _check_time(ms: int) -> None:
    _check_column(ms, int)
    if not 0 <= ms < TIME_MS_MAX:
        raise ValueError("a time that nobody can write down")


_DIRECTIONS = {str(direction): direction for direction in Direction}


def encode_event(headers: Headers, payload: bytes) -> bytes:
    """An event as stored: a line of headers, then the payload. Headers of ours are UTF-8 text."""
    return to_json([[name, value.decode()] for name, value in headers]) + b"\n" + payload


def decode_event(stored: bytes) -> tuple[Headers, bytes]:
    """The headers and payload that ``encode_event`` stored, byte for byte.

    Raises ContractViolation for what nobody of ours has stored.
    """
    line, _, payload = stored.partition(b"\n")
    try:
        return tuple((str(name), value.encode()) for name, value in from_json(line)), payload
    except (ValueError, TypeError, AttributeError) as error:
        seen = printable(f"{type(error).__name__}: {error}", chars_max=200)
        raise ContractViolation(
            f"An event in the saga table is damaged ({seen}). What is in it was not written by this "
            "framework; Kafka has the saga's events."
        ) from error
