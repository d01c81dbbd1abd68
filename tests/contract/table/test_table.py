"""What every saga table must do."""

import asyncio
from collections.abc import Mapping
from itertools import count

from sagas.ports import Row, RowChange, SagaTable, Stamp

SAGA = "OrderFulfilment"
EVERY_BYTE = bytes(range(256)) + b"\r\n\x00"
_tokens = count()


def change(
    saga_id: str = "o-1",
    *,
    saga: str = SAGA,
    expected: Stamp | None = None,
    stamp: Stamp | None = None,
    status: str = "RUNNING",
    state: bytes = b"{}",
    events: Mapping[str, bytes] | None = None,
    at_ms: int = 1_000,
    token: str | None = None,
) -> RowChange:
    """The first version of an instance, or the one after ``expected``."""
    if stamp is None:
        stamp = (
            Stamp(1, 1) if expected is None else Stamp(expected.generation, expected.version + 1)
        )
    return RowChange(
        saga=saga,
        saga_id=saga_id,
        expected=expected,
        stamp=stamp,
        status=status,
        state=state,
        events=events or {},
        at_ms=at_ms,
        token=token or f"token-{next(_tokens)}",
    )


async def listed(table: SagaTable, *statuses: str, limit: int = 100) -> list[tuple[str, str, int]]:
    found = await table.list_sagas(SAGA, statuses=statuses, limit=limit)
    assert all(line.saga == SAGA for line in found)
    return [(line.saga_id, line.status, line.changed_at_ms) for line in found]


async def test_an_unknown_instance_is_none(table: SagaTable) -> None:
    assert await table.load(SAGA, "nobody") is None
    assert await table.load(SAGA, "nobody", events=True) is None


async def test_what_was_stored_is_loaded_byte_for_byte(table: SagaTable) -> None:
    events = {"reserve_stock:done": EVERY_BYTE, "slot: with ünï — and {braces}": b""}
    saga_id = "ключ {x} : *?[a]\n"
    stamp = Stamp(7, 12345)
    assert await table.store(change(saga_id))
    assert await table.store(
        change(saga_id, expected=Stamp(1, 1), stamp=stamp, state=EVERY_BYTE, events=events)
    )
    row = await table.load(SAGA, saga_id, events=True)
    assert row is not None
    assert (row.stamp, row.state, dict(row.events)) == (stamp, EVERY_BYTE, events)


async def test_events_come_only_when_asked_for(table: SagaTable) -> None:
    await table.store(change(events={"start": b"e"}))
    row = await table.load(SAGA, "o-1")
    assert row is not None
    assert dict(row.events) == {}


async def test_forgotten_events_are_gone_and_nothing_else(table: SagaTable) -> None:
    events = {"start": b"s", "slot: with ünï — and {braces}": b"u", "late": b"l"}
    await table.store(change(events=events)._replace(content="digest"))
    await table.annotate(SAGA, "o-1", "retry", "note", due_ms=5)
    before = await table.load(SAGA, "o-1", events=True)
    assert before is not None
    for _ in range(2):
        await table.forget_events(SAGA, "o-1", ["start", "slot: with ünï — and {braces}", "never"])
        row = await table.load(SAGA, "o-1", events=True)
        assert row == before._replace(events={"late": b"l"})
    assert await listed(table, "RUNNING") == [("o-1", "RUNNING", 1_000)]
    assert [timer.due_ms for timer in await table.list_timers(SAGA, limit=9)] == [5]
    assert await table.store(change(expected=Stamp(1, 1), events={"start": b"again"}))
    row = await table.load(SAGA, "o-1", events=True)
    assert row is not None
    assert row.events == {"late": b"l", "start": b"again"}


async def test_forgetting_makes_no_row(table: SagaTable) -> None:
    await table.forget_events(SAGA, "o-1", ["start"])
    await table.forget_events(SAGA, "o-1", [])
    assert await table.load(SAGA, "o-1", events=True) is None
    assert await table.store(change())
    await table.forget_events(SAGA, "o-1", [])


async def test_the_digest_of_the_start_stays_until_another_is_told(table: SagaTable) -> None:
    def told(row: Row | None) -> str | None:
        return None if row is None else row.content

    await table.store(change())
    assert told(await table.load(SAGA, "o-1")) == ""
    await table.store(change(expected=Stamp(1, 1))._replace(content="digest"))
    await table.store(change(expected=Stamp(1, 2)))
    assert told(await table.load(SAGA, "o-1")) == "digest"
    assert told(await table.load(SAGA, "o-1", events=True)) == "digest"
    await table.store(change(expected=Stamp(1, 3))._replace(content="other"))
    assert told(await table.load(SAGA, "o-1")) == "other"


async def test_an_empty_state_is_a_row(table: SagaTable) -> None:
    assert await table.store(change(state=b""))
    row = await table.load(SAGA, "o-1")
    assert row is not None
    assert row.state == b""


async def test_events_accumulate_and_a_slot_is_replaced(table: SagaTable) -> None:
    await table.store(change(events={"a": b"1", "b": b"1"}))
    await table.store(change(expected=Stamp(1, 1), events={"b": b"2", "c": b"2"}))
    row = await table.load(SAGA, "o-1", events=True)
    assert row is not None
    assert dict(row.events) == {"a": b"1", "b": b"2", "c": b"2"}


async def test_a_loaded_row_does_not_change_afterwards(table: SagaTable) -> None:
    await table.store(change(events={"a": b"1"}))
    row = await table.load(SAGA, "o-1", events=True)
    await table.store(change(expected=Stamp(1, 1), state=b"later", events={"b": b"2"}))
    assert row is not None
    assert (row.state, dict(row.events)) == (b"{}", {"a": b"1"})


async def test_an_existing_row_is_not_created_again(table: SagaTable) -> None:
    assert await table.store(change(state=b"first"))
    assert not await table.store(change(state=b"second"))
    row = await table.load(SAGA, "o-1")
    assert row is not None
    assert row.state == b"first"


async def test_a_missing_row_is_not_changed(table: SagaTable) -> None:
    assert not await table.store(change(expected=Stamp(1, 1)))
    assert await table.load(SAGA, "o-1") is None
    assert await listed(table, "RUNNING") == []


async def test_another_version_or_generation_changes_nothing(table: SagaTable) -> None:
    await table.store(change())
    first, events = Stamp(1, 1), {"a": b"kept"}
    await table.store(
        change(expected=first, stamp=Stamp(2, 5), state=b"kept", events=events, at_ms=5)
    )
    for expected in (Stamp(2, 4), Stamp(2, 6), Stamp(1, 5), Stamp(3, 5), Stamp(25, 5)):
        refused = change(
            expected=expected, state=b"x", status="FAILED", events={"a": b"x", "b": b"x"}, at_ms=9
        )
        assert not await table.store(refused)
    row = await table.load(SAGA, "o-1", events=True)
    assert row is not None
    assert (row.stamp, row.state, dict(row.events)) == (Stamp(2, 5), b"kept", {"a": b"kept"})
    assert await listed(table, "RUNNING", "FAILED") == [("o-1", "RUNNING", 5)]


async def test_a_new_generation_replaces_the_stamp_as_a_whole(table: SagaTable) -> None:
    await table.store(change(stamp=Stamp(1, 40)))
    assert await table.store(change(expected=Stamp(1, 40), stamp=Stamp(2, 1)))
    assert not await table.store(change(expected=Stamp(1, 40)))
    assert await table.store(change(expected=Stamp(2, 1)))


async def test_a_repeated_change_is_stored_once_and_reported_twice(table: SagaTable) -> None:
    first = change(status="RUNNING", at_ms=1)
    assert [await table.store(first), await table.store(first)] == [True, True]
    second = change(expected=Stamp(1, 1), status="PARKED", at_ms=2)
    assert [await table.store(second), await table.store(second)] == [True, True]
    row = await table.load(SAGA, "o-1")
    assert row is not None
    assert row.stamp == Stamp(1, 2)
    assert await listed(table, "RUNNING", "PARKED") == [("o-1", "PARKED", 2)]


async def test_a_repeat_after_another_change_is_refused(table: SagaTable) -> None:
    first = change(state=b"first")
    assert await table.store(first)
    assert await table.store(change(expected=Stamp(1, 1), state=b"second"))
    assert not await table.store(first)
    row = await table.load(SAGA, "o-1")
    assert row is not None
    assert row.state == b"second"


async def test_of_concurrent_changes_exactly_one_wins(table: SagaTable) -> None:
    async def compete(saga_id: str, expected: Stamp | None) -> None:
        rivals = [change(saga_id, expected=expected, state=b"%d" % n) for n in range(100)]
        won = await asyncio.gather(*(table.store(rival) for rival in rivals))
        assert won.count(True) == 1
        row = await table.load(SAGA, saga_id)
        assert row is not None
        assert row.state == rivals[won.index(True)].state

    for version in range(5):
        expected = Stamp(1, version) if version else None
        await asyncio.gather(*(compete(f"o-{n}", expected) for n in range(5)))
    assert (await table.count_sagas(SAGA, statuses=["RUNNING"]))["RUNNING"] == 5


async def test_the_index_follows_the_status(table: SagaTable) -> None:
    stamp: Stamp | None = None
    ways = ["RUNNING", "COMPENSATING", "PARKED", "COMPENSATING", "COMPENSATED", "COMPENSATED"]
    for at_ms, status in enumerate(ways):
        step = change(expected=stamp, status=status, at_ms=at_ms)
        assert await table.store(step)
        stamp = step.stamp
        assert await listed(table, *dict.fromkeys(ways)) == [("o-1", status, at_ms)]
        counts = await table.count_sagas(SAGA, statuses=list(dict.fromkeys(ways)))
        assert {name for name, many in counts.items() if many} == {status}
        assert counts[status] == 1


async def test_the_list_is_newest_first_and_bounded(table: SagaTable) -> None:
    moments = {f"o-{n:03}": 10_000 + (n * 37) % 200 for n in range(200)}
    await asyncio.gather(
        *(
            table.store(change(saga_id, at_ms=at_ms, status="RUNNING" if at_ms % 2 else "PARKED"))
            for saga_id, at_ms in moments.items()
        )
    )
    newest = sorted(moments, key=lambda saga_id: moments[saga_id], reverse=True)
    assert [line[0] for line in await listed(table, "RUNNING", "PARKED", limit=500)] == newest
    assert [line[0] for line in await listed(table, "PARKED", "RUNNING", limit=7)] == newest[:7]
    odd = [saga_id for saga_id in newest if moments[saga_id] % 2]
    assert [line[0] for line in await listed(table, "RUNNING", limit=3)] == odd[:3]
    assert await listed(table, "RUNNING", limit=0) == []
    assert await listed(table, "COMPLETED") == []
    assert await listed(table) == []
    assert await table.count_sagas(SAGA, statuses=["RUNNING", "PARKED", "FAILED"]) == {
        "RUNNING": 100,
        "PARKED": 100,
        "FAILED": 0,
    }


async def test_equal_moments_have_one_order(table: SagaTable) -> None:
    ids = [f"o-{n}" for n in range(20)]
    await asyncio.gather(*(table.store(change(saga_id, at_ms=5)) for saga_id in ids))
    assert [line[0] for line in await listed(table, "RUNNING", limit=5)] == sorted(ids)[:-6:-1]


async def test_a_moment_keeps_its_milliseconds(table: SagaTable) -> None:
    await table.store(change(at_ms=1_893_456_000_123))
    assert await listed(table, "RUNNING") == [("o-1", "RUNNING", 1_893_456_000_123)]


async def test_sagas_do_not_see_each_other(table: SagaTable) -> None:
    await table.store(change(saga="A", state=b"a"))
    await table.store(change(saga="B", state=b"b"))
    row = await table.load("A", "o-1")
    assert row is not None
    assert row.state == b"a"
    assert len(await table.list_sagas("B", statuses=["RUNNING"], limit=9)) == 1
    assert await table.count_sagas("C", statuses=["RUNNING"]) == {"RUNNING": 0}


async def test_a_thousand_calls_at_once(table: SagaTable) -> None:
    ids = [f"o-{n}" for n in range(1_000)]
    stored = await asyncio.gather(
        *(table.store(change(saga_id, state=saga_id.encode())) for saga_id in ids)
    )
    assert all(stored)
    rows = await asyncio.gather(*(table.load(SAGA, saga_id) for saga_id in ids))
    assert [row.state.decode() for row in rows if row is not None] == ids
