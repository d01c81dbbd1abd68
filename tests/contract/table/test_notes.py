"""What every saga table must do with notes: hints beside a row, gone with the timer of their name."""

import asyncio
from collections.abc import Collection, Mapping
from itertools import count

import pytest

from sagas.ports import BUCKETS, RowChange, SagaTable, Stamp, Timer

SAGA = "OrderFulfilment"
_tokens = count()


def change(
    *,
    version: int = 1,
    timers_set: Mapping[str, int] | None = None,
    timers_cleared: Collection[str] = (),
    saga_id: str = "o-1",
) -> RowChange:
    return RowChange(
        saga=SAGA,
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


async def notes(table: SagaTable, saga_id: str = "o-1") -> dict[str, str]:
    """The notes, which a load shows with and without the events."""
    row = await table.load(SAGA, saga_id)
    whole = await table.load(SAGA, saga_id, events=True)
    assert row is not None
    assert whole is not None
    assert row.notes == whole.notes
    assert dict(whole.events) == {"start": b"event"}
    return dict(row.notes)


async def due(table: SagaTable) -> list[Timer]:
    return list(await table.due_timers(buckets=range(BUCKETS), now_ms=2**50, limit=99))


async def test_a_row_has_no_notes(table: SagaTable) -> None:
    await table.store(change())
    assert await notes(table) == {}


async def test_notes_are_kept_replaced_and_removed_and_leave_the_row_alone(
    table: SagaTable,
) -> None:
    await table.store(change())
    assert await table.annotate(SAGA, "o-1", "ship", "once")
    assert await table.annotate(SAGA, "o-1", "ship", "twice")
    assert await table.annotate(SAGA, "o-1", "bill", "first")
    assert await notes(table) == {"ship": "twice", "bill": "first"}
    row = await table.load(SAGA, "o-1")
    assert row is not None
    assert (row.stamp, row.state) == (Stamp(1, 1), b"{}")
    assert await table.annotate(SAGA, "o-1", "ship", None)
    assert await notes(table) == {"bill": "first"}
    assert await table.annotate(SAGA, "o-1", "bill", None)
    assert await table.annotate(SAGA, "o-1", "bill", None), "a repeat"
    assert await notes(table) == {}
    assert await table.store(change(version=2)), "a note is no change of the row"


@pytest.mark.parametrize(
    "text",
    ["", "a\nb\x00\x1f", 'ü "quoted" \\ /', "\U0001f600", "[1700000000000,1.5]", "9" * 5_000],
)
async def test_a_note_is_any_text(table: SagaTable, text: str) -> None:
    await table.store(change())
    await table.annotate(SAGA, "o-1", "ship", text)
    await table.annotate(SAGA, "o-1", "bill", "another")
    assert await notes(table) == {"ship": text, "bill": "another"}


async def test_a_row_that_is_not_there_gets_none(table: SagaTable) -> None:
    assert not await table.annotate(SAGA, "nobody", "ship", "note", due_ms=5)
    assert await table.load(SAGA, "nobody") is None
    assert await due(table) == []


async def test_a_note_may_set_a_timer_of_its_name(table: SagaTable) -> None:
    await table.store(change(timers_set={"bill": 7}))
    await table.annotate(SAGA, "o-1", "ship", "note", due_ms=5)
    assert await due(table) == [Timer(SAGA, "o-1", "ship", 5), Timer(SAGA, "o-1", "bill", 7)]
    await table.annotate(SAGA, "o-1", "ship", "note", due_ms=9)
    await table.annotate(SAGA, "o-1", "bill", "beside it")
    expected = [Timer(SAGA, "o-1", "bill", 7), Timer(SAGA, "o-1", "ship", 9)]
    assert await due(table) == expected, "without due_ms a timer is left as it is"
    await table.annotate(SAGA, "o-1", "ship", None)
    assert await due(table) == [Timer(SAGA, "o-1", "bill", 7)], "it goes with its note"


async def test_a_change_that_clears_a_timer_removes_the_note_of_its_name(table: SagaTable) -> None:
    await table.store(change(timers_set={"ship": 5}))
    await table.annotate(SAGA, "o-1", "ship", "beside a timer")
    await table.annotate(SAGA, "o-1", "retry/ship", "without one")
    await table.annotate(SAGA, "o-1", "bill", "stays")
    assert not await table.store(change(version=9, timers_cleared=["ship"])), "a conflict"
    assert len(await notes(table)) == 3
    await table.store(change(version=2, timers_set={"pack": 5}))
    assert len(await notes(table)) == 3
    await table.store(change(version=3, timers_cleared=["ship", "retry/ship", "never set"]))
    assert await notes(table) == {"bill": "stays"}
    await table.store(change(version=4, timers_cleared=["bill"]))
    assert await notes(table) == {}


async def test_notes_written_at_once_are_all_kept(table: SagaTable) -> None:
    await table.store(change())
    names = [f"step-{number}" for number in range(20)]
    await asyncio.gather(*(table.annotate(SAGA, "o-1", name, name) for name in names))
    assert await notes(table) == {name: name for name in names}


async def test_rows_have_notes_of_their_own(table: SagaTable) -> None:
    await table.store(change())
    await table.store(change(saga_id="o\x1f2"))
    await table.annotate(SAGA, "o\x1f2", "ship", "note")
    assert (await notes(table), await notes(table, "o\x1f2")) == ({}, {"ship": "note"})
    await table.store(change(saga_id="o\x1f2", version=2, timers_cleared=["ship"]))
    assert await notes(table, "o\x1f2") == {}
