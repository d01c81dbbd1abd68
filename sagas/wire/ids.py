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
    recurring = cause or "" if type_ in _RECURRING else ""
    name = f"{saga}\x1f{saga_id}\x1f{type_}\x1f{step}\x1f{direction}\x1f{epoch}\x1f{recurring}"
    if content is not None:
        name += f"\x1f{content}"
    digest = _EMPTY.copy()
    digest.update(name.encode())
    return digest.hexdigest()


_EMPTY = blake2b(digest_size=16)
"""Copied, because to make one with its arguments takes as long again as to hash a name."""


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
