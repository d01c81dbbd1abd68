"""Looking for sagas: by what the index knows, as far as one likes; by anything else within a bound.

Owns the bound, and what a text is looked for in. Type, status and time of the last change are the index's.
Step, tenant and text are in the rows, so rows are looked at one after the other, in the order of the index,
and whoever asks is told how far that went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sagas.core.errors import ContractViolation
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.operating.details import Detail, detail_of
from sagas.ports import Listed
from sagas.ports.listing import Cursor
from sagas.restoring import ListedTable, TableLost, TableRebuilding

__all__ = ["LOOKED_AT_MAX", "STATUSES", "Found", "Line", "Place", "Search", "search"]

LOOKED_AT_MAX = 2_000
"""So many rows are looked at for one answer, where the index does not know what is asked for."""
_CHUNK = 250
STATUSES = tuple(status.value for status in SagaStatus)


class Place(NamedTuple):
    """Where a page ended: the last instance that was looked at."""

    changed_at_ms: int
    saga_id: str
    saga: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for. Empty texts are not asked for; times in milliseconds since the epoch."""

    statuses: Sequence[str] = STATUSES
    step: str = ""
    tenant: str = ""
    text: str = ""
    since_ms: int = 0
    until_ms: int | None = None
    oldest_first: bool = False

    @property
    def is_indexed(self) -> bool:
        """Whether the index knows all that is asked for."""
        return not (self.step or self.tenant or self.text)

    def matches(self, line: Line) -> bool:
        """Whether an instance is one of those."""
        if self.is_indexed:
            return True
        detail, text = line.detail, self.text.casefold()
        if detail is None:
            return not (self.step or self.tenant) and text in line.listed.saga_id.casefold()
        return (
            (not self.step or self.step in detail.steps)
            and (not self.tenant or self.tenant == detail.tenant)
            and (not text or any(text in one.casefold() for one in detail.texts))
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the index with what the row says; without it where ``problem`` says why."""

    listed: Listed
    detail: Detail | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page. ``next`` is where to go on, None at the end. ``looked_at`` of ``total`` rows were looked at for
    this page, those of the statuses that were asked for; ``is_exact``: the text is the first one's very id.
    """

    lines: Sequence[Line]
    looked_at: int
    total: int
    next: Place | None
    is_exact: bool = False


async def search(
    table: ListedTable,
    sagas: Sequence[type[Saga]],
    wanted: Search,
    *,
    limit: int,
    after: Place | None = None,
) -> Found:
    """One page of what is looked for. Raises TableUnavailable."""
    counts = await asyncio.gather(
        *(table.count_sagas(saga.name, statuses=wanted.statuses) for saga in sagas)
    )
    total = sum(sum(one.values()) for one in counts)
    exact = await _exact(table, sagas, wanted) if after is None else []
    lines: list[Line] = []
    looked_at, place, ended = 0, after, False
    chunk = limit if wanted.is_indexed else _CHUNK
    while len(lines) < limit and looked_at < LOOKED_AT_MAX and not ended:
        listed, ended = await _page(table, sagas, wanted, place, chunk)
        for line in await _lines(table, sagas, listed):
            looked_at += 1
            place = _place(line.listed)
            if wanted.matches(line):
                lines.append(line)
                if len(lines) == limit:
                    ended = ended and line.listed is listed[-1]
                    break
    found = {(one.listed.saga, one.listed.saga_id) for one in exact}
    rest = [one for one in lines if (one.listed.saga, one.listed.saga_id) not in found]
    return Found(
        lines=[*exact, *rest],
        looked_at=looked_at,
        total=total,
        next=None if ended else place,
        is_exact=bool(exact),
    )


async def _exact(table: ListedTable, sagas: Sequence[type[Saga]], wanted: Search) -> list[Line]:
    """The instances whose id the text is: found at once, however many there are."""
    if not wanted.text:
        return []
    asked = [
        Listed(saga=one.name, saga_id=wanted.text, status="", changed_at_ms=0) for one in sagas
    ]
    found = await _lines(table, sagas, asked)
    return [
        replace(
            line,
            listed=replace(
                line.listed,
                status=line.detail.view.status.value,
                changed_at_ms=line.detail.changed_at_ms,
            ),
        )
        for line in found
        if line.detail is not None
        and line.detail.view.status.value in wanted.statuses
        and wanted.matches(line)
    ]


async def _page(
    table: ListedTable,
    sagas: Sequence[type[Saga]],
    wanted: Search,
    after: Place | None,
    limit: int,
) -> tuple[list[Listed], bool]:
    """The next lines of the index, of all sagas in one order; and whether these are the last ones."""
    pages = await asyncio.gather(
        *(
            table.listing.page(
                saga.name,
                statuses=wanted.statuses,
                limit=limit,
                after=_cursor(after, saga.name, oldest_first=wanted.oldest_first),
                since_ms=wanted.since_ms,
                until_ms=wanted.until_ms,
                oldest_first=wanted.oldest_first,
            )
            for saga in sagas
        )
    )
    merged = sorted(
        (one for page in pages for one in page), key=_place, reverse=not wanted.oldest_first
    )
    return merged[:limit], len(merged) <= limit and all(len(page) < limit for page in pages)


def _place(listed: Listed) -> Place:
    return Place(listed.changed_at_ms, listed.saga_id, listed.saga)


def _cursor(after: Place | None, saga: str, *, oldest_first: bool) -> Cursor | None:
    """Two sagas may have the same key at the same time: the place says which of them was seen."""
    if after is None:
        return None
    seen = saga <= after.saga if oldest_first else saga >= after.saga
    return Cursor(after.changed_at_ms, after.saga_id, inclusive=not seen)


async def _lines(
    table: ListedTable, sagas: Sequence[type[Saga]], listed: Sequence[Listed]
) -> list[Line]:
    by_name = {saga.name: saga for saga in sagas}
    return list(await asyncio.gather(*(_line(table, by_name[one.saga], one) for one in listed)))


async def _line(table: ListedTable, saga: type[Saga], listed: Listed) -> Line:
    try:
        row = await table.load(listed.saga, listed.saga_id, events=True)
        if row is None:
            return Line(listed, None, "it has expired")
        return Line(listed, detail_of(saga, listed.saga_id, row))
    except TableLost:
        return Line(listed, None, "its part of the saga table is lost and not rebuilt yet")
    except TableRebuilding:
        return Line(listed, None, "its part of the saga table is being rebuilt")
    except ContractViolation as error:
        return Line(listed, None, str(error))
