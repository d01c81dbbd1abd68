"""The payload of an event that the framework, and no handler, decided on.

Owns what such an event says: of a failure its error, of a timer its step, of an operator who and why.
"""

from __future__ import annotations

import json

from sagas.core.definition import STEP_TIMED_OUT, Direction, Role, UndoPolicy
from sagas.core.errors import ContractViolation, InvalidMessage
from sagas.core.events import Event
from sagas.core.framework_events import (
    AgainRequested,
    CancelRequested,
    CompensateRequested,
    ResumeRequested,
    RetryRequested,
    SagaCancelled,
    SagaExpired,
    SagaParked,
    SagaResumed,
    SkipRequested,
    StepFailed,
    StepTimedOut,
    UndoAgain,
    UndoFailed,
)
from sagas.core.instance import Fact
from sagas.core.saga import Saga
from sagas.core.starts import key_of_instance
from sagas.runtime.execution import Performed
from sagas.runtime.incoming import Incoming, decode_payload, key_of

__all__ = ["payload_of", "skip_event"]


def payload_of(fact: Fact, incoming: Incoming, performed: Performed | None) -> bytes:
    """The JSON of a decided event: the handler's own, or one of the framework's.

    ``performed`` is the action that was decided on, None where the message in hand is a control message.
    """
    if performed is not None and fact.role in _RETURNED and not fact.assumed:
        return performed.payload
    return _event_of(fact, incoming, performed).model_dump_json().encode()


_RETURNED = frozenset({Role.DONE, Role.REFUSED, Role.OTHERWISE, Role.UNDONE})


def _event_of(fact: Fact, incoming: Incoming, performed: Performed | None) -> Event:
    asked = incoming.event
    match fact.role:
        case Role.FAILED | Role.UNDO_FAILED:
            return _failed(fact, performed)
        case Role.PARKED:
            return asked if isinstance(asked, SagaParked) else _parked(fact, incoming, performed)
        case Role.OTHERWISE:
            key = incoming.saga.definition.key
            return incoming.saga.events[fact.type].model_validate(
                {key: key_of_instance(incoming.saga_id)}
            )
        case Role.CANCELLED if asked.event_type == incoming.saga.definition.cancelled_by:
            return SagaCancelled(by=asked.publisher(), why=asked.event_type)
        case Role.CANCELLED if not isinstance(asked, CancelRequested | CompensateRequested):
            return SagaExpired()
        case _:
            return _answered(fact, incoming)


def _failed(fact: Fact, performed: Performed | None) -> Event:
    if fact.type == STEP_TIMED_OUT:
        return StepTimedOut(step=fact.step)
    error, attempts = _failure(performed)
    kind = UndoFailed if fact.role is Role.UNDO_FAILED else StepFailed
    return kind(step=fact.step, error=error, attempts=attempts)


def _parked(fact: Fact, incoming: Incoming, performed: Performed | None) -> Event:
    error, attempts = _failure(performed)
    step = incoming.saga.definition.by_name[fact.step]
    escalates = step.if_undo_fails is UndoPolicy.ESCALATE and fact.direction is Direction.UNDO
    return SagaParked(
        step=fact.step,
        direction=fact.direction,
        error=error,
        attempts=attempts,
        escalated=escalates,
    )


def _answered(fact: Fact, incoming: Incoming) -> Event:
    """What an operator's request leads to."""
    asked = incoming.event
    match asked:
        case CancelRequested() | CompensateRequested() if fact.role is Role.CANCELLED:
            return SagaCancelled(by=asked.by, why=asked.why)
        case AgainRequested() if fact.role is Role.AGAIN:
            return UndoAgain(step=fact.step, by=asked.by, why=asked.why)
        case SkipRequested() if fact.role is not Role.RESUMED:
            return skip_event(incoming.saga, incoming.saga_id, asked)
        case ResumeRequested() | RetryRequested() | CompensateRequested() | SkipRequested():
            return SagaResumed(by=asked.by, why=asked.why)
        case _:
            raise ContractViolation(f"{asked.event_type} can not lead to {fact.type}.")


def skip_event(saga: type[Saga], saga_id: str, asked: SkipRequested) -> Event:
    """The event by which an operator says that a step is done, or undone.

    Raises InvalidMessage for a payload that does not fit the event, or is another instance's.
    """
    payload = json.dumps(asked.payload).encode()
    event = decode_payload(saga.events[asked.event], asked.event, payload)
    key = saga.definition.key
    if key_of(event, key) != key_of_instance(saga_id):
        raise InvalidMessage(
            f"{asked.event} has {key}={key_of(event, key)!r}; the saga is {saga_id!r}."
        )
    return event


def _failure(performed: Performed | None) -> tuple[str, int]:
    if performed is None:
        return "its time is up", 0
    return performed.error, performed.attempts
