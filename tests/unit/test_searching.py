"""Looking for sagas: every page of the index, and what it does not know within a bound that is told."""

from __future__ import annotations

import pytest

from sagas.adapters.memory.table import MemorySagaTable
from sagas.operating import searching
from sagas.operating.searching import Found, Place, Search, search
from tests.operated import DEFINED, Shop, an_order


@pytest.fixture
async def shop() -> Shop:
    return Shop(MemorySagaTable())


def ids(found: Found) -> list[str]:
    return [line.listed.saga_id for line in found.lines]


async def test_every_page_until_the_end(shop: Shop) -> None:
    for number in range(12):
        await shop.keep(an_order(f"o{number:02}"), at_ms=1_000 + number // 4)
    seen: list[str] = []
    after: Place | None = None
    while True:
        found = await search(shop.table, DEFINED, Search(), limit=5, after=after)
        assert found.total == 12
        seen += ids(found)
        if found.next is None:
            break
        after = found.next
    assert seen == [f"o{number:02}" for number in reversed(range(12))]


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_the_same_key_at_the_same_time_in_two_sagas(shop: Shop, oldest_first: bool) -> None:
    for name in ("a", "ab", "b"):
        for saga in DEFINED:
            await shop.keep(an_order(name, saga=saga), at_ms=1_000, saga=saga)
    wanted = Search(oldest_first=oldest_first)
    seen: list[tuple[str, str]] = []
    after: Place | None = None
    while after is not None or not seen:
        found = await search(shop.table, DEFINED, wanted, limit=1, after=after)
        seen += [(line.listed.saga_id, line.listed.saga) for line in found.lines]
        after = found.next
    expected = sorted((name, saga.name) for name in ("a", "ab", "b") for saga in DEFINED)
    assert seen == (expected if oldest_first else expected[::-1])


async def test_a_step_a_tenant_and_a_text(shop: Shop) -> None:
    await shop.keep(an_order("o1", tenant="acme"))
    await shop.keep(an_order("o2", "StockReserved"))
    await shop.keep(an_order("o3", "StockReserved", note="Fragile vase"))
    by_step = await search(shop.table, DEFINED, Search(step="capture_payment"), limit=10)
    assert sorted(ids(by_step)) == ["o2", "o3"]
    assert by_step.looked_at == by_step.total == 3
    assert ids(await search(shop.table, DEFINED, Search(tenant="acme"), limit=10)) == ["o1"]
    assert ids(await search(shop.table, DEFINED, Search(text="fragile"), limit=10)) == ["o3"]
    assert ids(await search(shop.table, DEFINED, Search(text="nothing"), limit=10)) == []


async def test_what_is_personal_is_not_found(shop: Shop) -> None:
    await shop.keep(an_order("o1", email="ada@example.com"))
    found = await search(shop.table, DEFINED, Search(text="ada@example"), limit=10)
    assert (ids(found), found.looked_at) == ([], 1)


async def test_a_search_without_an_index_is_bounded_and_goes_on_from_there(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "LOOKED_AT_MAX", 20)
    monkeypatch.setattr(searching, "_CHUNK", 7)
    for number in range(50):
        await shop.keep(an_order(f"o{number:02}", note="needle" if number == 3 else ""), number)
    first = await search(shop.table, DEFINED, Search(text="needle"), limit=5)
    assert (ids(first), first.looked_at, first.total) == ([], 21, 50)
    second = await search(shop.table, DEFINED, Search(text="needle"), limit=5, after=first.next)
    assert ids(second) == []
    third = await search(shop.table, DEFINED, Search(text="needle"), limit=5, after=second.next)
    assert (ids(third), third.looked_at, third.next) == (["o03"], 8, None)


async def test_an_id_is_found_at_once_however_far_away_it_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "LOOKED_AT_MAX", 5)
    monkeypatch.setattr(searching, "_CHUNK", 5)
    for number in range(30):
        await shop.keep(an_order(f"o{number:02}"), number)
    found = await search(shop.table, DEFINED, Search(text="o00"), limit=5)
    assert (ids(found), found.is_exact) == (["o00"], True)
    parked = Search(text="o00", statuses=("PARKED",))
    assert ids(await search(shop.table, DEFINED, parked, limit=5)) == []


async def test_a_row_of_another_version_is_a_line_that_says_so(shop: Shop) -> None:
    await shop.damage("o1")
    (line,) = (await search(shop.table, DEFINED, Search(), limit=5)).lines
    assert line.detail is None
    assert "damaged" in line.problem
