"""How many sagas stand where, and how many came there within the last minute. Costs a few counts for each
bucket of the index, however many sagas there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.operating.standing import Standing, standing_of
from sagas.ports import Listed
from sagas.restoring import ListedTable

__all__ = ["Counted", "Tally", "counted"]

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one status: how many there are, how many of them were last changed within the last minute, and the
    one that has not changed for the longest time, of those that have not ended.
    """

    status: SagaStatus
    count: int
    last_minute: int
    oldest: Listed | None

    @property
    def per_second(self) -> str:
        """Changed in a second, on average over the last minute."""
        return f"{self.last_minute / 60:.1f}"


@dataclass(frozen=True, slots=True)
class Counted:
    """One saga's instances."""

    saga: str
    tallies: Sequence[Tally]
    standing: Standing

    @property
    def total(self) -> int:
        """All that there are."""
        return sum(tally.count for tally in self.tallies)


async def counted(
    table: ListedTable, sagas: Sequence[type[Saga]], now_ms: int
) -> Sequence[Counted]:
    """Of each saga, in their order. Not one snapshot. Raises TableUnavailable."""
    standings = await standing_of(table, sagas)
    tallies = await asyncio.gather(*(_tallies(table, saga.name, now_ms) for saga in sagas))
    return [
        Counted(saga.name, its, standing)
        for saga, its, standing in zip(sagas, tallies, standings, strict=True)
    ]


async def _tallies(table: ListedTable, saga: str, now_ms: int) -> Sequence[Tally]:
    statuses = [status.value for status in SagaStatus]
    counts, recent, oldest = await asyncio.gather(
        table.count_sagas(saga, statuses=statuses),
        table.listing.count_since(saga, statuses=statuses, since_ms=now_ms - _MINUTE_MS),
        asyncio.gather(*(_oldest(table, saga, status) for status in SagaStatus)),
    )
    return [
        Tally(status, counts[status.value], recent[status.value], one)
        for status, one in zip(SagaStatus, oldest, strict=True)
    ]


async def _oldest(table: ListedTable, saga: str, status: SagaStatus) -> Listed | None:
    if status.is_terminal:
        return None
    found = await table.listing.page(saga, statuses=[status.value], limit=1, oldest_first=True)
    return found[0] if found else None
