"""Pages of the index of a saga table in memory: looks at all there is, and orders it."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from sagas.ports import Listed
from sagas.ports.listing import Cursor

__all__ = ["MemoryListing"]


class MemoryListing:
    """A ``SagaListing`` over the table's own index: by saga and status, ids with their last change."""

    def __init__(self, index: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
        self._index = index

    async def page(
        self,
        saga: str,
        *,
        statuses: Sequence[str],
        limit: int,
        after: Cursor | None = None,
        since_ms: int = 0,
        until_ms: int | None = None,
        oldest_first: bool = False,
    ) -> Sequence[Listed]:
        """One page of the index."""
        fit = [
            (at_ms, saga_id, status)
            for status in dict.fromkeys(statuses)
            for saga_id, at_ms in self._index.get((saga, status), {}).items()
            if since_ms <= at_ms and (until_ms is None or at_ms <= until_ms)
        ]
        left = (
            one
            for one in fit
            if after is None or _is_left(one[:2], after, oldest_first=oldest_first)
        )
        found = (heapq.nsmallest if oldest_first else heapq.nlargest)(limit, left)
        return [
            Listed(saga=saga, saga_id=saga_id, status=status, changed_at_ms=at_ms)
            for at_ms, saga_id, status in found
        ]

    async def count_since(
        self, saga: str, *, statuses: Sequence[str], since_ms: int
    ) -> Mapping[str, int]:
        """How many of each status were last changed since then."""
        return {
            status: sum(at_ms >= since_ms for at_ms in self._index.get((saga, status), {}).values())
            for status in statuses
        }


def _is_left(entry: tuple[int, str], after: Cursor, *, oldest_first: bool) -> bool:
    """Whether the pages before did not have it."""
    ended = after[:2]
    if entry == ended:
        return after.inclusive
    return entry > ended if oldest_first else entry < ended
