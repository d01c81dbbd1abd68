"""Pages of the saga table's index on Redis, and counts in it.

Owns how many members of how many sorted sets are asked for: a page of fifty needs a few of each bucket, not
fifty. Changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.members import score_of
from sagas.ports import BUCKETS, Listed
from sagas.ports.listing import Cursor

__all__ = ["RedisListing"]

_CHUNK_MIN = 8

Entry = tuple[int, bytes]
"""Last change, and the id as it is in Redis: its order is that of equal times."""


@dataclass(slots=True)
class _Index:
    """One sorted set, and how far it was read. ``last`` is what it gave last, None once it is at its end."""

    status: str
    key: str
    read: int = 0
    last: Entry | None = None


@dataclass(frozen=True, slots=True)
class _Range:
    since_ms: int
    until_ms: int | str
    oldest_first: bool
    after: Entry | None
    inclusive: bool = False

    def command(self, index: _Index, chunk: int) -> tuple[str | int, ...]:
        bounds: tuple[str | int, ...] = (self.until_ms, self.since_ms, "BYSCORE", "REV")
        if self.oldest_first:
            bounds = (self.since_ms, self.until_ms, "BYSCORE")
        return ("ZRANGE", index.key, *bounds, "LIMIT", index.read, chunk, "WITHSCORES")

    def comes_first(self, one: Entry, other: Entry) -> bool:
        return one < other if self.oldest_first else one > other

    def is_left(self, entry: Entry) -> bool:
        """Whether the pages before did not have it."""
        if self.after is None or entry == self.after:
            return self.after is None or self.inclusive
        return self.comes_first(self.after, entry)


class RedisListing:
    """A ``SagaListing``. Calls of one turn of the event loop travel as one pipeline."""

    def __init__(self, keys: Keys, call: Callable[..., Awaitable[Any]]) -> None:
        self._keys = keys
        self._call = call

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
        """One page of the index. Raises TableUnavailable."""
        if limit < 1:
            return []
        range_ = _range(after, since_ms, until_ms, oldest_first=oldest_first)
        indexes = [
            _Index(status, key) for status in statuses for key in self._keys.indexes(saga, status)
        ]
        found: dict[bytes, tuple[int, str]] = {}
        chunk, first = min(limit, max(_CHUNK_MIN, 2 * limit // BUCKETS)), _sorted(found, range_)
        while indexes:
            await asyncio.gather(*(self._read(index, range_, chunk, found) for index in indexes))
            first = _sorted(found, range_)[:limit]
            last = first[-1] if len(first) == limit else None
            indexes = [index for index in indexes if _has_more(index, range_, last)]
            chunk = min(limit, 4 * chunk)
        return [
            Listed(
                saga=saga,
                saga_id=member.decode(errors="replace"),
                status=found[member][1],
                changed_at_ms=at_ms,
            )
            for at_ms, member in first
        ]

    async def _read(
        self, index: _Index, range_: _Range, chunk: int, found: dict[bytes, tuple[int, str]]
    ) -> None:
        reply = await self._call(*range_.command(index, chunk))
        index.read += len(reply)
        index.last = None
        for member, score in reply:
            entry = (score_of(score), member)
            if len(reply) == chunk:
                index.last = entry
            known = found.get(member)
            if range_.is_left(entry) and (known is None or known[0] <= entry[0]):
                found[member] = (entry[0], index.status)

    async def count_since(
        self, saga: str, *, statuses: Sequence[str], since_ms: int
    ) -> Mapping[str, int]:
        """How many of each status were last changed since then. Raises TableUnavailable."""
        indexes = [(status, key) for status in statuses for key in self._keys.indexes(saga, status)]
        replies = await asyncio.gather(
            *(self._call("ZCOUNT", key, since_ms, "+inf") for _, key in indexes)
        )
        counts = dict.fromkeys(statuses, 0)
        for (status, _), reply in zip(indexes, replies, strict=True):
            counts[status] += reply
        return counts


def _range(
    after: Cursor | None, since_ms: int, until_ms: int | None, *, oldest_first: bool
) -> _Range:
    """What is left after the cursor: members of its very millisecond are read once more."""
    most: int | str = "+inf" if until_ms is None else until_ms
    if after is None:
        return _Range(since_ms, most, oldest_first, None)
    entry = (after.changed_at_ms, after.saga_id.encode())
    if oldest_first:
        since_ms = max(since_ms, entry[0])
    else:
        most = entry[0] if until_ms is None else min(until_ms, entry[0])
    return _Range(since_ms, most, oldest_first, entry, after.inclusive)


def _sorted(found: Mapping[bytes, tuple[int, str]], range_: _Range) -> list[Entry]:
    entries = [(at_ms, member) for member, (at_ms, _) in found.items()]
    return sorted(entries, reverse=not range_.oldest_first)


def _has_more(index: _Index, range_: _Range, last: Entry | None) -> bool:
    """Whether what it holds behind its last one may be on the page."""
    if index.last is None:
        return False
    return last is None or range_.comes_first(index.last, last)
