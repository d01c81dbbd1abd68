"""Which instances have not changed for longest, from the table's indexes."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.members import score_of
from sagas.ports import Listed

__all__ = ["quietest"]


async def quietest(
    call: Callable[..., Awaitable[Any]],
    keys: Keys,
    saga: str,
    *,
    statuses: Sequence[str],
    limit: int,
) -> Sequence[Listed]:
    """The first entries of each index, one ZRANGE for each, and of those the earliest.

    Not one snapshot: an instance that changes its status meanwhile may be missing, never twice.
    """
    if limit < 1:
        return []
    indexes = [(status, index) for status in statuses for index in keys.indexes(saga, status)]
    replies = await asyncio.gather(
        *(call("ZRANGE", index, 0, limit - 1, "WITHSCORES") for _, index in indexes)
    )
    found: dict[bytes, tuple[int, str]] = {}
    for (status, _), reply in zip(indexes, replies, strict=True):
        for member, score in reply:
            if member not in found or found[member][0] <= score:
                found[member] = (score_of(score), status)
    first = heapq.nsmallest(limit, ((at_ms, member) for member, (at_ms, _) in found.items()))
    return [
        Listed(
            saga=saga,
            saga_id=member.decode(errors="replace"),
            status=found[member][1],
            changed_at_ms=at_ms,
        )
        for at_ms, member in first
    ]
