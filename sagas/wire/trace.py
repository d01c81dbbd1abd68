"""The W3C trace context that travels with every event."""

from __future__ import annotations

import re
from hashlib import blake2b

__all__ = ["child_of", "trace_id"]

_TRACEPARENT = re.compile(
    r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)


def child_of(traceparent: str | None, event_id: str) -> str:
    """The trace context of an event: the trace of what caused it, or a new one, and a span of its own.

    Both follow from the event's id, so an event that is emitted again has the same. A malformed context
    is replaced, as the W3C recommends.
    """
    digits = blake2b(event_id.encode(), digest_size=24).hexdigest()
    parent = _TRACEPARENT.fullmatch(traceparent or "")
    trace, flags = (parent["trace"], parent["flags"]) if parent else (digits[:32], "01")
    return f"00-{trace}-{digits[32:]}-{flags}"


def trace_id(traceparent: str | None) -> str | None:
    """The trace's id, for logs."""
    parent = _TRACEPARENT.fullmatch(traceparent or "")
    return parent["trace"] if parent else None
