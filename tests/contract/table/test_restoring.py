"""What every saga table must do about loss: markers, the lease, rows that are put back, and the sweep."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import count

import pytest
from redis.asyncio import Redis

from sagas.adapters.memory.table import MemorySagaTable
from sagas.ports import BUCKETS, RowChange, Stamp, Timer, bucket_of
from sagas.restoring import Marker, RestorableTable, TableLost, TableRebuilding

SAGA = "OrderFulfilment"
EVERY = range(BUCKETS)
BUCKET = bucket_of("o-1")
FAR_MS = 10**15
FIRST = Stamp(1, 1)
Lose = Callable[[], Awaitable[None]]
_tokens = count()


def change(
    saga_id: str = "o-1",
    stamp: Stamp = FIRST,
    *,
    expected: Stamp | None = None,
    status: str = "RUNNING",
    state: bytes = b"{}",
    events: Mapping[str, bytes] | None = None,
    at_ms: int = 1_000,
    timers: Mapping[str, int] | None = None,
    cleared: tuple[str, ...] = (),
) -> RowChange:
    return RowChange(
        saga=SAGA,
        saga_id=saga_id,
        expected=expected,
        stamp=stamp,
        status=status,
        state=state,
        events=events or {},
        at_ms=at_ms,
        token=f"token-{next(_tokens)}",
        timers_set=timers or {},
        timers_cleared=cleared,
    )


async def test_a_table_that_is_ready_says_so(table: RestorableTable) -> None:
    assert list(await table.markers(SAGA)) == [Marker(1)] * BUCKETS
    assert await table.load(SAGA, "o-1") is None
    assert table.generation(SAGA, "o-1") == 1


async def test_nobody_changes_a_bucket_that_is_rebuilt(table: RestorableTable) -> None:
    assert await table.store(change(state=b"before"))
    assert await table.begin_rebuild(SAGA, [BUCKET], "a") == 1
    assert (await table.markers(SAGA))[BUCKET] == Marker(1, "a")
    for one in (change("o-1", Stamp(1, 2), expected=Stamp(1, 1)), change(other_of(BUCKET))):
        with pytest.raises(TableRebuilding):
            await table.store(one)
    with pytest.raises(TableRebuilding):
        await table.load(SAGA, other_of(BUCKET))
    row = await table.load(SAGA, "o-1")
    assert row is not None
    assert row.state == b"before", "a stale row may be read: whoever acts on it is fenced"
    elsewhere = next(f"x-{n}" for n in range(999) if bucket_of(f"x-{n}") != BUCKET)
    assert await table.store(change(elsewhere)), "other buckets go on"


async def test_a_row_is_put_back_whole(table: RestorableTable) -> None:
    lost = change(status="PARKED", events={"a": b"1", "z": b"9"}, timers={"old": 5, "both": 5})
    await table.store(lost)
    await table.begin_rebuild(SAGA, EVERY, "a")
    restored = change(
        stamp=Stamp(2, 9),
        state=b"back",
        events={"a": b"1", "b": b"2"},
        timers={"both": 7, "new": 8},
        cleared=("old", "both", "new", "never"),
        at_ms=77,
    )
    assert await table.restore(restored, "a")
    assert await table.restore(restored, "a"), "safe to repeat"
    assert await table.finish_rebuild(SAGA, EVERY, "a", 2)
    row = await table.load(SAGA, "o-1", events=True)
    assert row is not None
    assert (row.stamp, row.state, dict(row.events)) == (
        Stamp(2, 9),
        b"back",
        {"a": b"1", "b": b"2"},
    )
    assert await table.due_timers(buckets=EVERY, now_ms=FAR_MS, limit=9) == [
        Timer(SAGA, "o-1", "both", 7),
        Timer(SAGA, "o-1", "new", 8),
    ]
    found = await table.list_sagas(SAGA, statuses=["RUNNING", "PARKED"], limit=9)
    assert [(one.saga_id, one.status, one.changed_at_ms) for one in found] == [
        ("o-1", "RUNNING", 77)
    ]


async def test_writers_of_before_are_refused_afterwards(table: RestorableTable) -> None:
    await table.store(change())
    await table.begin_rebuild(SAGA, EVERY, "a")
    await table.restore(change(stamp=Stamp(2, 2)), "a")
    await table.finish_rebuild(SAGA, EVERY, "a", 2)
    assert not await table.store(change(stamp=Stamp(1, 2), expected=Stamp(1, 1)))
    assert not await table.store(change("o-2", Stamp(1, 1))), "a new row of the old generation"
    assert await table.load(SAGA, "o-2") is None
    assert table.generation(SAGA, "o-2") == 2
    assert await table.store(change("o-2", Stamp(2, 1)))
    assert await table.store(change(stamp=Stamp(2, 3), expected=Stamp(2, 2)))


async def test_a_superseded_rebuilder_changes_nothing(table: RestorableTable) -> None:
    await table.begin_rebuild(SAGA, EVERY, "a")
    assert await table.restore(change(stamp=Stamp(2, 1), state=b"a"), "a")
    assert await table.begin_rebuild(SAGA, EVERY, "b") == 1
    assert not await table.restore(change(stamp=Stamp(2, 1), state=b"late"), "a")
    assert not await table.finish_rebuild(SAGA, EVERY, "a", 2)
    assert await table.restore(change(stamp=Stamp(2, 1), state=b"b"), "b")
    assert await table.finish_rebuild(SAGA, EVERY, "b", 2)
    assert await table.finish_rebuild(SAGA, EVERY, "b", 2), "safe to repeat"
    assert not await table.finish_rebuild(SAGA, EVERY, "a", 3)
    assert not await table.restore(change(stamp=Stamp(2, 1), state=b"late"), "b")
    row = await table.load(SAGA, "o-1")
    assert row is not None
    assert row.state == b"b"


async def test_sagas_are_rebuilt_apart(table: RestorableTable) -> None:
    """Whoever rebuilds knows the sagas that it takes part in, and no others."""
    await table.begin_rebuild("Another", EVERY, "a")
    await table.finish_rebuild("Another", EVERY, "a", 1)
    await table.begin_rebuild(SAGA, EVERY, "a")
    with pytest.raises(TableRebuilding):
        await table.store(change())
    assert await table.store(change()._replace(saga="Another"))
    assert await table.lease(SAGA, "a", ttl_ms=60_000)
    assert await table.lease("Another", "b", ttl_ms=60_000)
    await table.finish_rebuild(SAGA, EVERY, "a", 2)
    assert set(await table.markers("Another")) == {Marker(1)}


async def test_generations_are_known_per_bucket(table: RestorableTable) -> None:
    for generation in (2, 7):
        await table.begin_rebuild(SAGA, [3, 4], "a")
        await table.finish_rebuild(SAGA, [3, 4], "a", generation)
    assert await table.begin_rebuild(SAGA, [5], "b") == 1
    assert await table.begin_rebuild(SAGA, [3, 5], "c") == 7
    assert await table.begin_rebuild(SAGA, [], "c") == 0
    markers = await table.markers(SAGA)
    assert (markers[3], markers[4], markers[5]) == (Marker(7, "c"), Marker(7), Marker(1, "c"))


async def test_of_several_one_has_the_lease(table: RestorableTable) -> None:
    tokens = [f"t-{n}" for n in range(9)]
    taken = await asyncio.gather(*(table.lease(SAGA, one, ttl_ms=60_000) for one in tokens))
    assert sum(taken) == 1
    holder = tokens[taken.index(True)]
    other = next(one for one in tokens if one != holder)
    assert await table.lease(SAGA, holder, ttl_ms=60_000), "kept"
    await table.release(SAGA, other)
    assert not await table.lease(SAGA, other, ttl_ms=60_000)
    await table.release(SAGA, holder)
    assert await table.lease(SAGA, other, ttl_ms=60_000)


async def test_a_lease_ends_by_itself(table: RestorableTable) -> None:
    assert await table.lease(SAGA, "a", ttl_ms=1)
    async with asyncio.timeout(30):
        while not await table.lease(SAGA, "b", ttl_ms=60_000):  # noqa: ASYNC110 - the server's clock
            await asyncio.sleep(0.001)
    assert not await table.lease(SAGA, "a", ttl_ms=1)


async def test_the_instances_of_a_bucket_are_listed(table: RestorableTable) -> None:
    ids = [f"o-{n}" for n in range(200)]
    statuses = ["RUNNING", "COMPLETED", "PARKED"]
    await asyncio.gather(
        *(table.store(change(one, status=statuses[n % 3])) for n, one in enumerate(ids))
    )
    listed = [sorted(await table.saga_ids(SAGA, bucket)) for bucket in EVERY]
    assert listed == [sorted(one for one in ids if bucket_of(one) == n) for n in EVERY]
    assert await table.saga_ids("Another", BUCKET) == []


async def test_what_has_ended_long_ago_is_forgotten(table: RestorableTable) -> None:
    ended = ["COMPLETED", "COMPENSATED", "FAILED"]
    for n, status in enumerate((*ended, "RUNNING", "PARKED", "COMPENSATING")):
        await table.store(change(f"old-{n}", status=status, at_ms=9, events={"a": b"1"}))
        await table.store(change(f"new-{n}", status=status, at_ms=10))
    assert await table.sweep(SAGA, before_ms=10, limit=100) == 3
    assert await table.sweep(SAGA, before_ms=10, limit=100) == 0
    assert await table.sweep("Another", before_ms=99, limit=100) == 0
    left = [one for n in range(6) for one in (f"old-{n}", f"new-{n}")]
    there = [one for one in left if await table.load(SAGA, one) is not None]
    assert there == [one for one in left if one not in {"old-0", "old-1", "old-2"}]
    counted = await table.count_sagas(SAGA, statuses=[*ended, "RUNNING"])
    assert counted == {"COMPLETED": 1, "COMPENSATED": 1, "FAILED": 1, "RUNNING": 2}


async def test_a_sweep_takes_no_more_than_it_may(table: RestorableTable) -> None:
    ids = [f"o-{n}" for n in range(9999) if bucket_of(f"o-{n}") == BUCKET][:5]
    for one in ids:
        await table.store(change(one, status="COMPLETED", at_ms=1))
    assert await table.sweep(SAGA, before_ms=9, limit=2) == 2
    assert await table.sweep(SAGA, before_ms=9, limit=9) == 3


def other_of(bucket: int) -> str:
    """Another instance in the same bucket."""
    return next(f"other-{n}" for n in range(9999) if bucket_of(f"other-{n}") == bucket)


@pytest.fixture
def lose(request: pytest.FixtureRequest, table: RestorableTable) -> Lose:
    """Everything that the table holds is gone, as after FLUSHALL."""
    if isinstance(table, MemorySagaTable):

        async def wipe() -> None:
            table.wipe()

        return wipe
    url, namespace = (request.getfixturevalue(name) for name in ("redis_url", "namespace"))

    async def unlink() -> None:
        async with Redis.from_url(url) as client:
            keys = [key async for key in client.scan_iter(f"{namespace}:*", count=1_000)]
            await client.unlink(*keys)

    return unlink


async def test_a_lost_bucket_is_told_by_everyone(table: RestorableTable, lose: Lose) -> None:
    await table.store(change(timers={"ship": 5}))
    await lose()
    assert list(await table.markers(SAGA)) == [None] * BUCKETS
    with pytest.raises(TableLost):
        await table.load(SAGA, "o-1")
    with pytest.raises(TableLost):
        await table.store(change())
    with pytest.raises(TableLost):
        await table.store(change(stamp=Stamp(1, 2), expected=Stamp(1, 1)))
    assert await table.begin_rebuild(SAGA, EVERY, "a") == 0
    assert await table.due_timers(buckets=EVERY, now_ms=9, limit=9) == [], "the timer is gone"
    assert await table.finish_rebuild(SAGA, EVERY, "a", 5)
    assert await table.load(SAGA, "o-1") is None
    assert table.generation(SAGA, "o-1") == 5


async def test_a_loss_in_the_middle_of_a_rebuild_supersedes_it(
    table: RestorableTable, lose: Lose
) -> None:
    await table.begin_rebuild(SAGA, EVERY, "a")
    await table.restore(change(), "a")
    await lose()
    assert not await table.restore(change(), "a")
    assert not await table.finish_rebuild(SAGA, EVERY, "a", 2)
