"""Where messages are in traces, and what spans say of sagas and errors."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.trace import Span, Status, StatusCode

from sagas.core.printable import printable
from sagas.observability.spans import Where, where_of
from sagas.wire.envelope import Envelope
from sagas.wire.trace import context_of, start_name

__all__ = ["is_own", "of_saga", "place_of", "say"]

_WORDS_MAX = 1_000


def of_saga(saga: str | None, saga_id: str | None) -> Mapping[str, str]:
    """What a span says of the instance that it belongs to, if to any."""
    if saga is None or saga_id is None:
        return {}
    return {"sagas.saga": saga, "sagas.saga_id": saga_id}


def is_own(envelope: Envelope) -> bool:
    """Whether a message is in the trace that its instance has of its own."""
    if envelope.saga is None or envelope.saga_id is None:
        return False
    own = context_of(None, envelope.saga, envelope.saga_id)
    return (envelope.trail.traceparent or "")[:35] == own[:35]


def place_of(envelope: Envelope) -> Where | None:
    """Where a message is; one of an instance's own trace that nobody has decided on is below its start."""
    given = envelope.trail.traceparent
    if given is None or context_of(given, "", "") != given:
        return None
    where = where_of(given, envelope.trail.tracestate)
    if not envelope.seq and is_own(envelope):
        return where.named(start_name(envelope.saga or "", envelope.saga_id or ""))
    return where


def say(span: Span, error: Exception) -> None:
    """What an error is, and what its author says of it."""
    try:
        words = printable(str(error), chars_max=_WORDS_MAX, lines=True)
    except Exception as unprintable:  # noqa: BLE001 - it is user code
        words = f"(its text can not be had: {type(unprintable).__name__})"
    kind = type(error).__qualname__
    span.add_event("exception", {"exception.type": kind, "exception.message": words})
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, words))
