"""What every saga table must do with timers: they stand and fall with the write of their row."""

import asyncio
from collections.abc import Collection, Mapping
from itertools import count

import pytest

from sagas.core.errors import ContractViolation
from sagas.ports import BUCKETS, RowChange, SagaTable, Stamp, Timer, bucket_of

SAGA = "OrderFulfilment"
EVERY = range(BUCKETS)
FAR_MS = 9_999_999_999_999
_tokens = count()


def change(
    saga_id: str = "o-1",
    *,
    timers_set: Mapping[str, int] | None = None,
    timers_cleared: Collection[str] = (),
    saga: str = SAGA,
    version: int = 1,
) -> RowChange:
    """The write that leads to this version."""
    return RowChange(
        saga=saga,
        saga_id=saga_id,
        expected=Stamp(1, version - 1) if version > 1 else None,
        stamp=Stamp(1, version),
        status="RUNNING",
        state=b"{}",
        events={"start": b"event"},
        at_ms=1,
        token=f"token-{next(_tokens)}",
        timers_set=timers_set or {},
        timers_cleared=timers_cleared,
    )


async def due(
    table: SagaTable, now_ms: int = FAR_MS, *, buckets: Collection[int] = EVERY, limit: int = 100
) -> list[Timer]:
    return list(await table.due_timers(buckets=buckets, now_ms=now_ms, limit=limit))


async def test_without_timers_there_are_none(table: SagaTable) -> None:
    await table.store(change())
    assert await due(table) == []
    assert await table.list_timers(SAGA, limit=9) == []


async def test_timers_are_set_with_the_row(table: SagaTable) -> None:
    assert await table.store(change(timers_set={"ship": 2_000, "bill": 1_000}))
    expected = [Timer(SAGA, "o-1", "bill", 1_000), Timer(SAGA, "o-1", "ship", 2_000)]
    assert await due(table) == expected
    assert await table.list_timers(SAGA, limit=9) == expected
    row = await table.load(SAGA, "o-1", events=True)
    assert row is not None
    assert (row.state, dict(row.events)) == (b"{}", {"start": b"event"})


async def test_a_conflict_touches_no_timer(table: SagaTable) -> None:
    await table.store(change(timers_set={"ship": 5}))
    assert not await table.store(change(timers_set={"ship": 6, "bill": 6}))
    assert not await table.store(change(version=3, timers_cleared=["ship"]))
    assert not await table.store(change("o-2", version=2, timers_set={"ship": 7}))
    assert await due(table) == [Timer(SAGA, "o-1", "ship", 5)]


async def test_a_timer_is_moved_kept_and_cleared(table: SagaTable) -> None:
    await table.store(change(timers_set={"ship": 5, "bill": 5}))
    await table.store(change(version=2, timers_set={"ship": 3}))
    assert await due(table) == [Timer(SAGA, "o-1", "ship", 3), Timer(SAGA, "o-1", "bill", 5)]
    await table.store(change(version=3))
    assert len(await due(table)) == 2
    await table.store(change(version=4, timers_set={"pack": 9}, timers_cleared=["ship"]))
    assert await due(table) == [Timer(SAGA, "o-1", "bill", 5), Timer(SAGA, "o-1", "pack", 9)]
    cleared = {"bill": 0, "pack": 0, "never set": 0}.keys()
    await table.store(change(version=5, timers_cleared=cleared))
    assert await due(table) == []
    row = await table.load(SAGA, "o-1", events=True)
    assert row is not None
    assert (row.stamp, dict(row.events)) == (Stamp(1, 5), {"start": b"event"})


async def test_a_timer_that_is_cleared_and_set_at_once_is_set(table: SagaTable) -> None:
    await table.store(change(timers_set={"ship": 5}))
    await table.store(change(version=2, timers_set={"ship": 6}, timers_cleared=["ship"]))
    assert await due(table) == [Timer(SAGA, "o-1", "ship", 6)]


async def test_a_timer_is_due_at_its_millisecond(table: SagaTable) -> None:
    at_ms = 1_893_456_000_123
    await table.store(change(timers_set={"ship": at_ms}))
    assert await due(table, at_ms - 1) == []
    assert await due(table, at_ms) == [Timer(SAGA, "o-1", "ship", at_ms)]


async def test_only_the_buckets_that_were_asked_for_are_read(table: SagaTable) -> None:
    ids = [f"o-{n}" for n in range(200)]
    await asyncio.gather(*(table.store(change(one, timers_set={"ship": 1})) for one in ids))
    for buckets in ([], [0], [7, 7], {3, 9, 63}, range(32), EVERY):
        found = await due(table, buckets=buckets, limit=500)
        expected = sorted(one for one in ids if bucket_of(one) in buckets)
        assert sorted(timer.saga_id for timer in found) == expected


async def test_the_earliest_come_first_and_not_too_many(table: SagaTable) -> None:
    moments = {f"o-{n:03}": 10_000 + (n * 37) % 200 for n in range(200)}
    await asyncio.gather(
        *(table.store(change(one, timers_set={"ship": ms})) for one, ms in moments.items())
    )
    earliest = sorted(moments, key=lambda one: moments[one])
    assert [timer.saga_id for timer in await due(table, limit=500)] == earliest
    assert [timer.saga_id for timer in await due(table, limit=7)] == earliest[:7]
    assert [timer.saga_id for timer in await due(table, 10_002, limit=7)] == earliest[:3]
    assert [timer.saga_id for timer in await table.list_timers(SAGA, limit=7)] == earliest[:7]
    assert await due(table, limit=0) == []
    assert await table.list_timers(SAGA, limit=0) == []


async def test_timers_of_one_bucket_and_moment_have_one_order(table: SagaTable) -> None:
    names = ["b", "a", "ab", "a\n", "é", "Z", "a!"]
    await table.store(change(timers_set=dict.fromkeys(names, 5)))
    await table.store(change("o-1", saga="Another", timers_set={"z": 5}))
    order = [("Another", "z"), *((SAGA, name) for name in sorted(names))]
    assert [(timer.saga, timer.name) for timer in await due(table)] == order
    assert [(timer.saga, timer.name) for timer in await due(table, limit=4)] == order[:4]


async def test_a_timer_is_postponed_while_it_is_set(table: SagaTable) -> None:
    await table.store(change(timers_set={"ship": 5, "bill": 7}))
    [timer] = await due(table, 5)
    assert await table.postpone_timer(timer, 100)
    assert await due(table, 99) == [Timer(SAGA, "o-1", "bill", 7)]
    assert await table.postpone_timer(timer, 100), "a repeat"
    assert await due(table) == [Timer(SAGA, "o-1", "bill", 7), Timer(SAGA, "o-1", "ship", 100)]
    assert await table.postpone_timer(timer, 6), "in whatever direction"
    assert await due(table, 6) == [Timer(SAGA, "o-1", "ship", 6)]


async def test_a_cleared_timer_is_not_postponed(table: SagaTable) -> None:
    await table.store(change(timers_set={"ship": 5, "bill": 5}))
    timers = await due(table)
    await table.store(change(version=2, timers_cleared=["ship"]))
    assert [await table.postpone_timer(timer, 9) for timer in timers] == [True, False]
    assert not await table.postpone_timer(Timer(SAGA, "nobody", "ship", 5), 9)
    assert not await table.postpone_timer(Timer("Another", "o-1", "bill", 5), 9)
    assert await due(table) == [Timer(SAGA, "o-1", "bill", 9)]


async def test_a_postponed_timer_is_cleared_by_its_name(table: SagaTable) -> None:
    await table.store(change(timers_set={"ship": 5}))
    await table.postpone_timer(Timer(SAGA, "o-1", "ship", 5), 100)
    await table.store(change(version=2, timers_cleared=["ship"]))
    assert await due(table) == []


async def test_a_repeated_change_sets_and_clears_once(table: SagaTable) -> None:
    first = change(timers_set={"ship": 5, "bill": 5})
    assert [await table.store(first), await table.store(first)] == [True, True]
    assert len(await due(table)) == 2
    await table.postpone_timer(Timer(SAGA, "o-1", "bill", 5), 50)
    assert await table.store(first), "the postponed timer stays where it is"
    second = change(version=2, timers_set={"pack": 9}, timers_cleared=["ship"])
    assert [await table.store(second), await table.store(second)] == [True, True]
    assert not await table.store(first), "what the later change cleared stays cleared"
    assert await due(table) == [Timer(SAGA, "o-1", "pack", 9), Timer(SAGA, "o-1", "bill", 50)]


async def test_of_concurrent_changes_the_winner_sets_its_timers(table: SagaTable) -> None:
    rivals = [change(timers_set={f"step-{n}": n + 1, "all": n + 1}) for n in range(50)]
    won = (await asyncio.gather(*(table.store(rival) for rival in rivals))).index(True)
    timers = await due(table)
    assert {timer.name: timer.due_ms for timer in timers} == rivals[won].timers_set


async def test_sagas_and_instances_have_timers_of_their_own(table: SagaTable) -> None:
    for saga, saga_id in (("A", "1"), ("A", "2"), ("AB", "1"), ("B", "1")):
        await table.store(change(saga_id, saga=saga, timers_set={"ship": 5}))
    await table.store(change("1", saga="A", version=2, timers_cleared=["ship"]))
    assert await table.list_timers("A", limit=9) == [Timer("A", "2", "ship", 5)]
    assert await table.list_timers("AB", limit=9) == [Timer("AB", "1", "ship", 5)]
    assert await table.list_timers("C", limit=9) == []
    assert len(await due(table)) == 3


@pytest.mark.parametrize(
    "saga_id", ["ключ {x} : *?[a]\n", "", "a\x1fb", "\x1f", "\x00", "-inf", "(1", "a:b", "🙂" * 50]
)
@pytest.mark.parametrize("name", ["ünï — and {braces}", "", " ", "a:b", "\x00\r\n", "*", "XX"])
async def test_odd_characters_are_kept(table: SagaTable, saga_id: str, name: str) -> None:
    saga = "Sagá-{1} *"
    timer = Timer(saga, saga_id, name, 5)
    assert await table.store(change(saga_id, saga=saga, timers_set={name: 5}))
    assert await due(table, buckets=[bucket_of(saga_id)]) == [timer]
    assert await table.list_timers(saga, limit=9) == [timer]
    assert await table.postpone_timer(timer, 6)
    assert await due(table) == [timer._replace(due_ms=6)]
    await table.store(change(saga_id, saga=saga, version=2, timers_cleared=[name]))
    assert await due(table) == []


async def test_a_timer_name_with_the_separator_is_refused(table: SagaTable) -> None:
    for spoiled in (change(timers_set={"a\x1fb": 5}), change(timers_cleared=["a\x1fb"])):
        with pytest.raises(ContractViolation, match=r"U\+001F"):
            await table.store(spoiled)
    assert await table.load(SAGA, "o-1") is None


async def test_many_timers_of_one_change(table: SagaTable) -> None:
    names = [f"step-{n:03}" for n in range(500)]
    await table.store(change(timers_set={name: n for n, name in enumerate(names)}))
    assert [timer.name for timer in await due(table, limit=1_000)] == names
    await table.store(change(version=2, timers_cleared=names[1:]))
    assert await due(table) == [Timer(SAGA, "o-1", names[0], 0)]
