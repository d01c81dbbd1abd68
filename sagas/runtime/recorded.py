"""What becomes of an event that is recorded: its envelope, and the line that tells of it."""

from __future__ import annotations

import structlog

from sagas.core.definition import Role
from sagas.core.framework_events import SagaParked
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.wire.envelope import Envelope, Trail
from sagas.wire.ids import mark_of
from sagas.wire.trace import child_of, span_name_of

__all__ = ["envelope_of", "tell"]

_log = structlog.get_logger()


def envelope_of(
    fact: Fact, stored: Position, payload: bytes, source: str, trail: Trail
) -> Envelope:
    """The envelope of a decided event, under the stamp of the write that records it."""
    definition, saga_id, folded = stored.definition, stored.saga_id, stored.place.folded
    saga = definition.saga
    return Envelope(
        fact.id,
        fact.written or fact.type,
        source,
        fact.at_ms,
        saga,
        saga_id,
        payload,
        fact.cause,
        definition.fingerprint,
        stored.version,
        stored.generation,
        fact.epoch,
        fact.assumed,
        stored.place.status.value,
        tuple(mark_of(stored.ids[index]) for index in folded) if folded else (),
        Trail(
            trail.correlation_id,
            trail.tenant,
            stored.deadline_ms,
            child_of(trail.traceparent, span_name_of(saga, saga_id, fact)),
            trail.tracestate,
        ),
    )


def tell(recorded: Fact, stored: Position, payload: bytes) -> None:
    """One line for an event that was stored; ``payload`` is its JSON, and says why a saga was parked."""
    fields = {"step": recorded.step, "type": recorded.type, "status": str(stored.status)}
    if recorded.role is Role.PARKED:
        reason = SagaParked.model_validate_json(payload).error
        _log.warning("saga.event", **fields, version=stored.version, reason=reason)
    else:
        _log.info("saga.event", **fields, version=stored.version)
