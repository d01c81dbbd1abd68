"""Event ids: deterministic, so that an event emitted twice is recognisably the same."""

from __future__ import annotations

import json
from hashlib import blake2b

from sagas.core.definition import SAGA_PARKED, SAGA_RESUMED, Direction

__all__ = ["digest_of", "event_id", "idempotency_key", "mark_of"]

_RECURRING = frozenset({SAGA_PARKED, SAGA_RESUMED})


def event_id(
    saga: str,
    saga_id: str,
    type_: str,
    *,
    step: str,
    direction: Direction,
    epoch: int = 0,
    cause: str | None = None,
    content: str | None = None,
) -> str:
    """Thirty-two hex digits from what makes the event what it is.

    The same decision, made again by another worker or after a loss, gets the same id; two outcomes of
    one step get different ones. A framework event that can recur adds the message that caused it; an event
    from outside, which nobody has decided on, the digest of its ``content``.
    """
    recurring = cause if type_ in _RECURRING else None
    parts = [saga, saga_id, type_, step, direction, str(epoch), recurring or ""]
    if content is not None:
        parts.append(content)
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def digest_of(payload: bytes) -> str:
    """Thirty-two hex digits that two payloads share if they are the same JSON, however it is written.

    What no JSON reader takes is told apart by its bytes.
    """
    try:
        canonical = json.dumps(json.loads(payload), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        canonical = payload
    return blake2b(canonical, digest_size=16).hexdigest()


def mark_of(event_id: str) -> str:
    """Sixteen hex digits that stand for an event id, which may have any length and any characters."""
    return blake2b(event_id.encode(), digest_size=8).hexdigest()


def idempotency_key(saga: str, saga_id: str, step: str, direction: Direction, epoch: int) -> str:
    """What a handler passes to an outside API: stable over retries, redeliveries and other workers."""
    return f"{saga}/{saga_id}/{step}/{direction}/{epoch}"
