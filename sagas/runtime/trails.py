"""What travels with a saga: of a message that nobody has decided on, its sender does not know it.

A timer and an operator know neither tenant nor trace, and whoever answers a wait from outside is in a trace
of their own. What follows is the saga's, as its start has said.
"""

from __future__ import annotations

from collections.abc import Mapping

from sagas.core.definition import START, Role
from sagas.core.position import Position
from sagas.ports import Row
from sagas.runtime.incoming import Incoming
from sagas.wire.envelope import Trail
from sagas.wire.stored import decode_event
from sagas.wire.trace import child_of, context_of, span_name_of, start_name, trace_id

__all__ = ["is_from_outside", "log_fields", "trail_of_saga"]


def is_from_outside(incoming: Incoming) -> bool:
    """Whether nobody has decided on the message, and it is not what says what travels: the start."""
    return not incoming.envelope.seq and not incoming.starts


def trail_of_saga(at: Position, row: Row, incoming: Incoming) -> Trail:
    """The trail of the instance for a message from outside: that of its start, as the row keeps it.

    A row that keeps its start no more, because the saga has ended, is told by the message alone, in the
    trace that an instance has of its own. What an answer leads to is below the span of the wait.
    """
    saga, saga_id, said = at.definition.saga, at.saga_id, incoming.envelope.trail
    trail = said._replace(traceparent=context_of(None, saga, saga_id), tracestate=None)
    for index, fact in enumerate(at.place.facts):
        if fact.step == START and fact.role is Role.DONE and fact.kept_as in row.events:
            start = decode_event(row.events[fact.kept_as], saga, saga_id, at.fact(index))
            trail = start.trail._replace(deadline_ms=said.deadline_ms)
    answers = incoming.control is None
    name = span_name_of(saga, saga_id, incoming.fact) if answers else start_name(saga, saga_id)
    return trail._replace(traceparent=child_of(trail.traceparent, name))


def log_fields(trail: Trail) -> Mapping[str, object]:
    """What a log line says of what travels; what is not there is left out."""
    fields = {
        "tenant": trail.tenant,
        "correlation_id": trail.correlation_id,
        "trace_id": trace_id(trail.traceparent),
    }
    return {name: value for name, value in fields.items() if value is not None}
