"""What an observer counts is what took place: in whatever order the topics are read, however often, and over
restarts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas import SagaStatus
from sagas.core.errors import SettingsError
from sagas.monitoring.policy import Objective, Policy
from sagas.monitoring.sketch import bucket_of
from sagas.ports import Record
from tests.observed import Day, Reading, a_day, counted, observer_of, policy_of

ORDERS = st.lists(st.integers(0, 7), max_size=120)
PLACES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 50)), max_size=25)
A_WEEK_MS = 7 * 86_400_000


@pytest.fixture(scope="module")
def day() -> Day:
    return asyncio.run(a_day())


@pytest.fixture(scope="module")
def true(day: Day) -> dict[str, object]:
    """What is counted where everything is read once, in the order in which it was published."""
    observer = observer_of()
    reading = Reading(day, observer)
    times = [
        (record.timestamp_ms, partition) for partition, log in day.logs.items() for record in log
    ]
    for _, partition in sorted(times, key=lambda time: time[0]):
        if partition in reading.partitions:
            reading.step(reading.partitions.index(partition))
    reading.look(later_ms=20_000)
    return counted(observer)


def test_counts_are_those_of_the_saga_table(day: Day, true: dict[str, object]) -> None:
    expected = Counter(day.statuses.values())
    assert set(expected) == {
        SagaStatus.RUNNING,
        SagaStatus.PARKED,
        SagaStatus.COMPLETED,
        SagaStatus.COMPENSATED,
    }
    assert true["sagas"] == {
        "order-fulfilment": {
            "live": {
                status: expected[SagaStatus(status)]
                for status in ("RUNNING", "COMPENSATING", "PARKED")
            },
            "ended": {
                status: expected[SagaStatus(status)]
                for status in ("COMPLETED", "COMPENSATED", "FAILED")
            },
            "states": {"PAID": 1, "CREATED": 1},
        }
    }


@given(order=ORDERS, again=PLACES, twice=ORDERS)
def test_order_across_topics_and_duplicates_do_not_count(
    day: Day,
    true: dict[str, object],
    order: list[int],
    again: list[tuple[int, int]],
    twice: list[int],
) -> None:
    observer = observer_of()
    reading = Reading(day, observer)
    for number, offset in again:
        reading.publish_again(number, offset)
    for number in order:
        reading.step(number)
        reading.deliver_again(number)
        reading.look()
    reading.to_end(twice)
    reading.look(later_ms=20_000)
    assert counted(observer) == true


@given(order=ORDERS, again=PLACES)
def test_what_has_ended_and_is_gone_counts_once(
    day: Day, true: dict[str, object], order: list[int], again: list[tuple[int, int]]
) -> None:
    observer = observer_of(policy_of(settle_ms=1))
    reading = Reading(day, observer)
    for number in order:
        reading.step(number)
        reading.look()
    reading.to_end()
    reading.look(later_ms=20_000)
    assert observer.views()["instances"] == {"kept": 2, "without_a_start": 0}
    for number, offset in again:
        reading.publish_again(number, offset)
    reading.to_end()
    reading.look(later_ms=40_000)
    assert counted(observer) == true


@given(order=ORDERS, stops=st.sets(st.integers(0, 119)), settle_ms=st.sampled_from([1, 60_000]))
def test_views_go_on_after_a_restart(
    day: Day, true: dict[str, object], order: list[int], stops: set[int], settle_ms: int
) -> None:
    """Killed at any moment: what was read since the last save is read again."""
    observer = observer_of(policy_of(settle_ms=settle_ms))
    reading, kept = Reading(day, observer), dict[str, bytes]()
    for turn, number in enumerate(order):
        reading.step(number)
        if turn in stops:
            kept = saved(observer.changes(), kept)
            reading.look()
        if turn - 3 in stops:
            observer = observer_of(policy_of(settle_ms=settle_ms))
            assert observer.put_back(kept)
            reading = Reading(day, observer)
    reading.to_end()
    reading.look(later_ms=20_000)
    assert counted(observer) == true


def test_what_is_gone_is_recognised_after_a_restart(day: Day) -> None:
    observer = observer_of(policy_of(settle_ms=1))
    reading = Reading(day, observer)
    reading.to_end()
    reading.look(later_ms=20_000)
    before = counted(observer)
    again = observer_of(policy_of(settle_ms=1))
    assert again.put_back(saved(observer.changes(), {}))
    reading = Reading(day, again)
    assert [again.position(one) for one in reading.partitions] == [
        len(day.logs[one]) for one in reading.partitions
    ]
    for number in range(len(reading.partitions)):
        reading.publish_again(number, 0)
    reading.to_end()
    assert again.views()["left_out"]["of_ended"] > 0
    assert counted(again) == before


def saved(changes: dict[str, bytes | None], kept: dict[str, bytes]) -> dict[str, bytes]:
    merged = {**kept, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def test_what_was_kept_under_another_policy_is_left_aside(day: Day) -> None:
    observer = observer_of()
    reading = Reading(day, observer)
    reading.to_end()
    kept = saved(observer.changes(), {})
    other = observer_of(Policy(window_ms=30_000))
    assert not other.put_back(kept)
    assert not other.put_back({})
    assert other.views()["instances"] == {"kept": 0, "without_a_start": 0}


def test_windows_and_what_has_ended_leave_in_time(day: Day) -> None:
    observer = observer_of()
    reading = Reading(day, observer)
    reading.to_end()
    reading.look(later_ms=A_WEEK_MS)
    views = observer.views()
    assert views["instances"]["kept"] == 2  # the one that runs, and the one that is parked
    assert views["sagas"]["order-fulfilment"]["ended"] == {
        "COMPLETED": 0,
        "COMPENSATED": 0,
        "FAILED": 0,
    }
    assert views["latencies"]["order-fulfilment"] == {"steps": {}, "undos": {}, "ends": {}}
    kept = saved(observer.changes(), {})
    assert sum(key.startswith("saga") for key in kept) == 2
    assert sum(key.startswith("window") for key in kept) == 0


def test_no_more_instances_are_kept_than_allowed(day: Day) -> None:
    observer = observer_of(Policy(settle_ms=A_WEEK_MS, sagas_max=1, ended_max=3))
    reading = Reading(day, observer)
    reading.to_end()
    reading.look()
    views = observer.views()
    assert views["instances"]["kept"] == 1
    assert views["left_out"] == {"too_many": 7}
    kept = saved(observer.changes(), {})
    assert sum(key.startswith("ended") for key in kept) == 3


def test_thousands_of_events_of_one_instance_are_not_kept(day: Day) -> None:
    observer = observer_of()
    log = next(
        log for partition, log in day.logs.items() if partition.topic == "test.orders.events"
    )
    start = log[0]
    observer.follow([], 0)
    for number in range(1000):
        observer.observe(with_id(start, number), day.end_ms)
    assert observer.views()["left_out"] == {"too_many_of_one": 500}


def with_id(record: Record, number: int) -> Record:
    headers = tuple(
        (name, b"%d" % number if name == "ce_id" else value) for name, value in record.headers
    )
    return record._replace(headers=headers, offset=number)


@pytest.mark.parametrize("later_first", [False, True])
def test_what_was_decided_again_after_a_loss_counts_as_decided_last(
    day: Day, later_first: bool
) -> None:
    """With the same id, under a higher generation, a second later."""
    (reserved,) = [
        record
        for partition, log in day.logs.items()
        if partition.topic == "test.inventory.events"
        for record in log
        if record.key == b"one"
    ]
    headers = dict(reserved.headers)
    decided_ms = reserved.timestamp_ms + 1_000
    time = datetime.fromtimestamp(decided_ms / 1000, UTC).isoformat().encode()
    headers |= {"ce_sagagen": b"2", "ce_time": time}
    again = reserved._replace(headers=tuple(headers.items()), timestamp_ms=decided_ms)
    observer = observer_of()
    for offset, record in enumerate([again, reserved] if later_first else [reserved, again]):
        observer.observe(record._replace(partition=7, offset=offset), day.end_ms)
    Reading(day, observer).to_end()
    slow = observer.views()["latencies"]["order-fulfilment"]["steps"]["reserve_stock"]
    counts = observer._board.windows
    buckets = [
        key[-1]
        for _, window in counts.of("order-fulfilment")
        for key in window
        if key[2:3] == ("reserve_stock",)
    ]
    assert slow["count"] == 7
    assert bucket_of(1_700) in buckets


def test_what_a_participant_would_not_read_is_passed_over(day: Day) -> None:
    observer = observer_of()
    reading = Reading(day, observer)
    reading.to_end()
    before = counted(observer)
    record = Record("test.orders.events", 0, 10_000, b"k", b"{", (), day.end_ms)
    other = (("ce_saganame", b"order-fulfilment"), ("ce_type", b"who.Knows.v1"))
    foreign = (("ce_saganame", b"another"), ("ce_type", b"who.Knows.v1"))
    observer.observe(record, day.end_ms)
    observer.observe(record._replace(offset=10_001, headers=other), day.end_ms)
    observer.observe(record._replace(offset=10_002, headers=foreign), day.end_ms)
    assert observer.views()["left_out"] == {"unreadable": 2}
    assert counted(observer) == before


def test_times_that_can_not_be_neither_open_windows_nor_keep_sagas(day: Day) -> None:
    observer = observer_of()
    ahead_ms = day.end_ms + A_WEEK_MS
    value = b'{"order_id": "%d"}'
    told = (("ce_time", b"9000-01-01T00:00:00Z"),)
    for offset, (headers, timestamp_ms) in enumerate(
        [((), ahead_ms), ((), -1), (told, ahead_ms), ((("ce_time", b"2026-01-01T00:00:00Z"),), -1)]
    ):
        record = Record(
            "test.orders.events", 0, offset, None, value % offset, headers, timestamp_ms
        )
        observer.observe(record, day.end_ms)
    views = observer.views(windows=1440)
    assert views["left_out"] == {"unreadable": 3}
    assert views["instances"] == {"kept": 1, "without_a_start": 0}


def test_a_start_from_outside_needs_no_headers(day: Day) -> None:
    observer = observer_of()
    value = b'{"order_id": "by hand"}'
    observer.observe(Record("test.orders.events", 0, 0, None, value, (), day.end_ms), day.end_ms)
    assert observer.views()["sagas"]["order-fulfilment"]["live"]["RUNNING"] == 1


def test_percentiles_of_steps_and_of_ends(true: dict[str, object], day: Day) -> None:
    observer = observer_of()
    Reading(day, observer).to_end()
    shown = observer.views(windows=1440)["latencies"]["order-fulfilment"]
    reserved = shown["steps"]["reserve_stock"]
    assert reserved["count"] == 7
    assert reserved["p50_ms"] == pytest.approx(700, rel=0.02)
    assert reserved["p99_ms"] == pytest.approx(7000, rel=0.02)
    assert sum(window["count"] for window in reserved["windows"]) == 7
    assert shown["undos"]["reserve_stock"]["count"] == 3
    assert shown["ends"]["COMPLETED"]["p99_ms"] == pytest.approx(1800, rel=0.02)


def test_objectives_and_their_budgets(day: Day) -> None:
    observer = observer_of()
    reading = Reading(day, observer)
    reading.to_end()
    reading.look(later_ms=20_000)
    quick, shipped = observer.views()["objectives"]
    # The three that completed, and the one that was declined at once, took 1.8 s. Two took 7 s and more to
    # their end, one is parked and one runs: their time is up.
    assert (quick["kept"], quick["broken"]) == (4, 4)
    assert quick["reached"] == 0.5
    assert quick["budget"] == 0.8
    assert quick["budget_left"] == pytest.approx(1 - 4 / 0.8)
    assert quick["burn_rate"] == quick["burn_rate_recently"] == pytest.approx(0.5 / 0.1)
    assert (shipped["kept"], shipped["broken"]) == (4, 4)


def test_candidates_for_stuck_sagas_need_no_event(day: Day) -> None:
    observer = observer_of()
    reading = Reading(day, observer)
    reading.to_end()
    reading.look(later_ms=20_000)
    parked = observer.views()["stuck"]
    assert [one["saga_id"] for one in parked["longest"]] == ["parked"]
    assert parked["longest"][0]["reason"] == "parked: it waits for an operator"
    reading.look(later_ms=70_000)
    both = observer.views()["stuck"]["longest"]
    assert [one["saga_id"] for one in both] == ["parked", "running"]
    assert both[1]["reason"] == "waits for inventory to perform reserve_stock"
    assert both[1]["state"] == "CREATED"


def test_nothing_is_stuck_that_was_not_read_yet(day: Day) -> None:
    observer = observer_of()
    reading = Reading(day, observer)
    reading.step(reading.partitions.index(next(iter(reading.partitions))))
    observer.look(day.end_ms + 5_000)
    assert observer.views()["stuck"]["count"] == 0


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Objective(saga="other", within="5s", over="1h"), "not observed; observed are order-"),
        (Objective(saga="order-fulfilment", within="5s", over="8d"), "looks back over 8d"),
        (
            Objective(saga="order-fulfilment", within="5s", over="1h", step="pack"),
            "which order-fulfilment has not",
        ),
    ],
)
def test_objectives_that_mean_nothing_are_refused(objective: Objective, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        observer_of(Policy(objectives=(objective,)))
