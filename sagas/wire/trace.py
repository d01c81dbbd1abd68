"""The W3C trace context that travels with every event.

Owns which trace an instance is in, and which span stands for what: all of it follows from names, so that
whoever handles a message again, or emits an event again, says the same.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from sagas.core.definition import START, STEP_TIMED_OUT, Direction, Role
from sagas.core.instance import Fact
from sagas.wire.ids import idempotency_key

__all__ = ["child_of", "context_of", "span_name_of", "start_name", "trace_id"]

_TRACEPARENT = re.compile(
    r"00-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
_OUTCOMES = frozenset({Role.DONE, Role.REFUSED, Role.OTHERWISE, Role.UNDONE, Role.UNDO_FAILED})


def child_of(traceparent: str | None, name: str) -> str:
    """The trace context of what has that name: the trace of what caused it, or a new one, and a span of its
    own.

    Both follow from the name, so an event that is emitted again has the same. A malformed context is
    replaced, as the W3C recommends.
    """
    digits = _digits(name)
    parent = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if parent is None:
        return f"00-{digits[:32]}-{digits[32:]}-01"
    trace, flags = parent.group(1, 3)
    return f"00-{trace}-{digits[32:]}-{flags}"


def context_of(traceparent: str | None, saga: str, saga_id: str) -> str:
    """The context that an instance is started in: the one given or, where that is none, a trace of its own,
    the same for every service that asks.
    """
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        return traceparent
    digits = _digits(f"{saga}/{saga_id}")
    return f"00-{digits[:32]}-{digits[32:]}-01"


def span_name_of(saga: str, saga_id: str, fact: Fact) -> str:
    """The name, for ``child_of``, of the span that an event is decided in.

    The outcome of an action belongs to the span of that action, which is known before there is an outcome:
    its attempts, and what a handler calls, are its children. What a timer or an operator has decided is a
    span of its own.
    """
    acted = fact.role in _OUTCOMES and not fact.assumed
    if acted or (fact.role is Role.FAILED and fact.type != STEP_TIMED_OUT):
        return idempotency_key(saga, saga_id, fact.step, fact.direction, fact.epoch)
    return fact.id


def start_name(saga: str, saga_id: str) -> str:
    """The name of the span that stands for the start of an instance: what the start wakes is below it."""
    return idempotency_key(saga, saga_id, START, Direction.FORWARD, 0)


def trace_id(traceparent: str | None) -> str | None:
    """The trace's id, for logs."""
    parent = _TRACEPARENT.fullmatch(traceparent or "")
    return parent["trace"] if parent else None


_EMPTY = blake2b(digest_size=24)
"""Copied, because to make one with its arguments takes as long again as to hash a name."""


def _digits(name: str) -> str:
    digest = _EMPTY.copy()
    digest.update(name.encode())
    return digest.hexdigest()
