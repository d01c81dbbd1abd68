"""What an action has returned: whether its step declares that, and its JSON, which everybody must be able to
read.

Owns what is accepted of a handler, and how a journal's outcome becomes an event again.
"""

from __future__ import annotations

import inspect
from typing import Any

from sagas.core.errors import ContractViolation, InvalidMessage
from sagas.core.events import Event
from sagas.core.starts import key_of_instance
from sagas.core.upcasting import Upcasting
from sagas.ports import JournalOutcome
from sagas.runtime.assignments import Assignment
from sagas.runtime.incoming import VALUE_BYTES_MAX, decode_former, decode_payload

__all__ = ["Told", "done_event", "encoded"]


Told = tuple[str, bytes]
"""An event's type on the wire, and its payload."""


def encoded(assignment: Assignment, saga_id: str, returned: Any) -> Told:
    """The returned event, encoded. Raises ContractViolation for anything that was not declared.

    An event of the very class that the step declares is written and read by pydantic directly: the way
    that all can go took 70 instructions more.
    """
    model: Any = type(returned)
    if model not in assignment.plain:
        return _encoded(assignment, saga_id, returned)
    if getattr(returned, assignment.key_field) != saga_id or "~" in saga_id:
        _check_key(assignment, saga_id, returned)
    payload = returned.__pydantic_serializer__.to_json(returned)
    if len(payload) > VALUE_BYTES_MAX:
        raise _too_large(assignment, returned, payload)
    try:
        model.__pydantic_validator__.validate_json(payload)
    except (ValueError, RecursionError):
        _check_fits(assignment, returned, payload)
    return model.event_type, payload


def _encoded(assignment: Assignment, saga_id: str, returned: object) -> Told:
    """The same, whatever it is: no event, a former version, or of a class that does more than pydantic."""
    if not isinstance(returned, Event):
        raise _undeclared(assignment, returned)
    way, allowed = None, assignment.allowed
    if returned.event_type not in allowed:
        way = assignment.formers.get(returned.event_type)
        if way is None or way.current.event_type not in allowed:
            raise _undeclared(assignment, returned)
    _check_key(assignment, saga_id, returned)
    payload = returned.model_dump_json().encode()
    if len(payload) > VALUE_BYTES_MAX:
        raise _too_large(assignment, returned, payload)
    if way is not None:
        _upcast(way, payload)
    else:
        _check_fits(assignment, returned, payload)
    return returned.event_type, payload


def _check_key(assignment: Assignment, saga_id: str, returned: Event) -> None:
    key = str(getattr(returned, assignment.key_field))
    if (key != saga_id or "~" in key) and key != key_of_instance(saga_id):
        raise ContractViolation(
            f"{assignment.handler.name} returned {returned.event_type} with {assignment.key_field}={key!r} "
            f"in the saga {saga_id!r}; hand the saga's own key on."
        )


def _too_large(assignment: Assignment, returned: Event, payload: bytes) -> ContractViolation:
    return ContractViolation(
        f"{assignment.handler.name} returned {returned.event_type} with {len(payload)} bytes; at most "
        f"{VALUE_BYTES_MAX} fit. Keep large content elsewhere and send a reference to it."
    )


def _check_fits(assignment: Assignment, returned: Event, payload: bytes) -> None:
    type_ = returned.event_type
    try:
        decode_payload(assignment.events[type_], type_, payload)
    except InvalidMessage as error:
        raise ContractViolation(
            f"{assignment.handler.name} returned an event that nobody can read. {error}. Its JSON has to "
            "fit the same model: a float that is not a number, or an alias, does not."
        ) from error


def _undeclared(assignment: Assignment, returned: object) -> ContractViolation:
    name = assignment.handler.name
    if inspect.isawaitable(returned):
        if inspect.iscoroutine(returned):
            returned.close()
        return ContractViolation(
            f"{name} returned {returned!r:.200}, which is not run yet: an `await` is missing."
        )
    seen = returned.event_type if isinstance(returned, Event) else repr(returned)[:200]
    return ContractViolation(
        f"{name} returned {seen}; {assignment.step.name} may return {' or '.join(assignment.allowed)}."
    )


def done_event(assignment: Assignment, recorded: JournalOutcome | None) -> Event | None:
    """The done event that the journal holds. A refusal had no effect: nothing is to be undone.

    Raises ContractViolation for one of a former version that can not be upcast.
    """
    done = assignment.step.done
    if recorded is None:
        return None
    way = assignment.formers.get(recorded.type)
    if way is not None and way.current.event_type in done:
        return _upcast(way, recorded.payload)
    if recorded.type not in done:
        return None
    return assignment.events[recorded.type].model_validate_json(recorded.payload)


def _upcast(way: Upcasting, payload: bytes) -> Event:
    try:
        return decode_former(way, payload)
    except InvalidMessage as error:
        raise ContractViolation(f"What the handler has returned, now or before: {error}") from error
