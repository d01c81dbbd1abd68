"""The index, a page at a time: every instance once, in order, whatever is equal and wherever a page ends."""

from __future__ import annotations

import pytest

from sagas.ports import Stamp, bucket_of
from sagas.ports.listing import Cursor
from sagas.restoring import ListedTable
from tests.contract.table.test_table import SAGA, change

BOTH = ("RUNNING", "PARKED")


async def pages(
    table: ListedTable, size: int, *, statuses: tuple[str, ...] = BOTH, **given: int | bool
) -> list[list[tuple[str, str, int]]]:
    """Every page until there is nothing left."""
    found: list[list[tuple[str, str, int]]] = []
    after: Cursor | None = None
    while True:
        page = await table.listing.page(
            SAGA,
            statuses=statuses,
            limit=size,
            after=after,
            since_ms=int(given.get("since_ms", 0)),
            until_ms=None if "until_ms" not in given else int(given["until_ms"]),
            oldest_first=bool(given.get("oldest_first", False)),
        )
        if not page:
            return found
        assert {one.saga for one in page} == {SAGA}
        found.append([(one.saga_id, one.status, one.changed_at_ms) for one in page])
        after = Cursor(page[-1].changed_at_ms, page[-1].saga_id)


async def filled(table: ListedTable) -> list[tuple[str, str, int]]:
    """Sixty instances, ten changed at each moment, every third parked."""
    expected = []
    for number in range(60):
        at_ms, status = 1_000 + number // 10, BOTH[number % 3 == 0]
        await table.store(change(f"o-{number:02}", status=status, at_ms=at_ms))
        expected.append((f"o-{number:02}", status, at_ms))
    await table.store(change("another", saga="Another", at_ms=1_003))
    return sorted(expected, key=lambda one: (one[2], one[0]), reverse=True)


@pytest.mark.parametrize("size", [1, 7, 60, 100])
async def test_pages_hold_every_instance_once_and_in_order(table: ListedTable, size: int) -> None:
    expected = await filled(table)
    found = await pages(table, size)
    assert [len(one) for one in found[:-1]] == [size] * (len(found) - 1)
    assert [one for page in found for one in page] == expected


async def test_the_other_way_round(table: ListedTable) -> None:
    expected = await filled(table)
    found = await pages(table, 7, oldest_first=True)
    assert [one for page in found for one in page] == expected[::-1]


async def test_one_status_between_two_moments(table: ListedTable) -> None:
    expected = [
        one for one in await filled(table) if one[1] == "PARKED" and 1_001 <= one[2] <= 1_003
    ]
    between = {"since_ms": 1_001, "until_ms": 1_003}
    found = await pages(table, 4, statuses=("PARKED",), **between)
    assert [one for page in found for one in page] == expected
    found = await pages(table, 4, statuses=("PARKED",), oldest_first=True, **between)
    assert [one for page in found for one in page] == expected[::-1]


async def test_many_that_changed_at_once_in_one_bucket(table: ListedTable) -> None:
    same = [name for name in (f"x{number}" for number in range(2_000)) if bucket_of(name) == 3]
    for name in same:
        await table.store(change(name, at_ms=5_000))
    found = await pages(table, 5)
    assert [one[0] for page in found for one in page] == sorted(same, reverse=True)
    assert len(same) > 16, "more than are asked for at once"


async def test_an_empty_page(table: ListedTable) -> None:
    assert await table.listing.page(SAGA, statuses=BOTH, limit=10) == []
    await filled(table)
    assert await table.listing.page(SAGA, statuses=BOTH, limit=0) == []
    assert await table.listing.page(SAGA, statuses=(), limit=10) == []


async def test_how_many_changed_since_then(table: ListedTable) -> None:
    await filled(table)
    statuses = (*BOTH, "FAILED")
    counted = await table.listing.count_since(SAGA, statuses=statuses, since_ms=1_004)
    assert counted == {"RUNNING": 14, "PARKED": 6, "FAILED": 0}
    moved = change("o-00", expected=Stamp(1, 1), status="RUNNING", at_ms=9_000)
    assert await table.store(moved)
    counted = await table.listing.count_since(SAGA, statuses=statuses, since_ms=9_000)
    assert counted == {"RUNNING": 1, "PARKED": 0, "FAILED": 0}
