"""Parts of the monitor's fold: answers from outside, windows that are gone, positions."""

from __future__ import annotations

import asyncio
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas import (
    Event,
    OneOf,
    Saga,
    SagaStatus,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    days,
)
from sagas.core.definition import Role
from sagas.core.instance import Fact
from sagas.core.refold import Found
from sagas.monitoring.observer import SagaObserver
from sagas.monitoring.policy import Policy
from sagas.monitoring.progress import Progress
from sagas.monitoring.standing import merged
from sagas.monitoring.windows import Windows
from sagas.ports import Record, TopicPartition
from sagas.testing import SagaTestEnvironment
from sagas.testing.publishing import outside_record
from sagas.wire.topics import Topics


class ParcelEvent(Event):
    parcel_id: str


class Ordered(ParcelEvent, type="desk.Ordered.v1"): ...


class Withdrawn(ParcelEvent, type="desk.Withdrawn.v1"): ...


class Packed(ParcelEvent, type="packing.Packed.v1"): ...


class Received(ParcelEvent, type="desk.Received.v1"): ...


class Returned(ParcelEvent, type="desk.Returned.v1"): ...


class Refunded(ParcelEvent, type="packing.Refunded.v1"): ...


class Parcel(Saga):
    key = "parcel_id"
    start = Start(Ordered, by="desk", undone=Withdrawn)
    pack = Step(by="packing", on=Ordered, done=Packed, pivot=True)
    receive = Wait(by="desk", on=Packed, done=OneOf(Received, Returned), timeout=days(7))
    refund = Step(by="packing", on=Returned, done=Refunded)


async def records_of_answers() -> tuple[dict[str, str], list[Record]]:
    """Sagas that are ended, or sent back, by an answer from outside; some come early, one twice."""
    desk, packing = Service("desk"), Service("packing")

    @desk.undoes(Parcel.start)
    async def withdraw(ordered: Ordered, context: StepContext) -> Withdrawn:
        return Withdrawn(parcel_id=ordered.parcel_id)

    @packing.performs(Parcel.pack)
    async def pack(ordered: Ordered, context: StepContext) -> Packed:
        return Packed(parcel_id=ordered.parcel_id)

    @packing.performs(Parcel.refund)
    async def refund(returned: Returned, context: StepContext) -> Refunded:
        return Refunded(parcel_id=returned.parcel_id)

    async with SagaTestEnvironment([desk, packing]) as env:
        env.delay(Parcel.pack, 5)
        for key in ("early", "twice", "late", "open"):
            await env.start(Ordered(parcel_id=key))
        await env.advance(1)
        await env.client.complete(Parcel.receive, "early", Received(parcel_id="early"))
        await env.client.complete(Parcel.receive, "twice", Received(parcel_id="twice"))
        await env.advance(1)
        await env.publish(Returned(parcel_id="twice"), saga_id="twice")
        await env.advance(10)
        await env.client.complete(Parcel.receive, "late", Returned(parcel_id="late"))
        await env.advance(1)
        env.expect_unfinished("open")
        keys = ("early", "twice", "late", "open")
        statuses = {key: str(env.status(key)) for key in keys}
        records = [record for topic in env._broker.topics for record in env._broker.records(topic)]
    return statuses, records


@pytest.fixture(scope="module")
def answers() -> tuple[dict[str, str], list[Record]]:
    return asyncio.run(records_of_answers())


def counted(records: list[Record]) -> dict[str, Any]:
    observer = SagaObserver([Parcel], Topics("test"), Policy())
    offsets: dict[tuple[str, int], int] = {}
    for record in records:
        if record.topic not in observer.topics:
            continue
        place = record.topic, record.partition
        offset = offsets[place] = offsets.get(place, -1) + 1
        observer.observe(record._replace(offset=offset), record.timestamp_ms)
    views = observer.views(windows=1440)
    return {name: views[name] for name in ("sagas", "latencies")}


def test_answers_from_outside_end_sagas(answers: tuple[dict[str, str], list[Record]]) -> None:
    statuses, records = answers
    ended = str(SagaStatus.COMPLETED)
    assert statuses == {"early": ended, "twice": ended, "late": ended, "open": "RUNNING"}
    shown = counted(records)
    assert shown["sagas"]["parcel"]["ended"]["COMPLETED"] == 3
    assert shown["sagas"]["parcel"]["live"]["RUNNING"] == 1
    assert (
        shown["latencies"]["parcel"]["steps"]["refund"]["count"] == 1
    )  # of the one that came late
    assert shown["latencies"]["parcel"]["steps"]["receive"]["count"] == 3


@given(data=st.data())
def test_of_two_answers_the_first_one_counts_in_any_order_of_reading(
    answers: tuple[dict[str, str], list[Record]], data: st.DataObject
) -> None:
    _, records = answers
    assert counted(data.draw(st.permutations(records))) == counted(records)


class Yes(ParcelEvent, type="desk.Yes.v1"): ...


class No(ParcelEvent, type="desk.No.v1"): ...


class Question(Saga):
    key = "parcel_id"
    start = Start(Ordered, by="desk", undone=Withdrawn)
    answer = Wait(by="desk", on=Ordered, done=OneOf(Yes, No), timeout=days(7))


def outside(event: ParcelEvent, offset: int, now_ms: int) -> Record:
    record = outside_record(Topics("test"), event, Question, "q", now_ms)
    return Record(record.topic, 0, offset, record.key, record.value, record.headers, now_ms)


def test_of_two_answers_that_nobody_has_handled_yet_the_older_one_counts() -> None:
    events = [
        (Ordered(parcel_id="q"), 1_000),
        (Yes(parcel_id="q"), 2_000),
        (No(parcel_id="q"), 9_000),
    ]
    for order in permutations(events):
        observer = SagaObserver([Question], Topics("test"), Policy())
        for offset, (event, now_ms) in enumerate(order):
            observer.observe(outside(event, offset, now_ms), 10_000)
        answer = observer.views(windows=1440)["latencies"]["question"]["steps"]["answer"]
        assert answer["p50_ms"] == pytest.approx(1_000, rel=0.02)


COPIES = st.builds(
    lambda at_ms, generation, seq, published_ms: Found(
        Fact("id", "type", "step", Role.DONE, at_ms=at_ms),
        generation,
        seq,
        mark="",
        published_ms=published_ms,
    ),
    *[st.integers(0, 3)] * 4,
)


@given(copies=st.lists(COPIES, min_size=2, max_size=6), data=st.data())
def test_copies_of_one_event_are_merged_in_any_order(
    copies: list[Found], data: st.DataObject
) -> None:
    whole = reduce(merged, copies)
    again = data.draw(st.permutations([*copies, *data.draw(st.permutations(copies))]))
    assert reduce(merged, again) == whole


def test_windows_that_are_gone_stay_gone() -> None:
    windows = Windows(10)
    windows.change("a", (), [(5, ("started",)), (15, ("started",))])
    windows.drop_before(10)
    windows.change("a", [(5, ("started",))], [(7, ("started",)), (8, ("started",))])
    windows.drop_before(0)
    assert list(windows.of("a")) == [(10, {("started",): 1})]
    assert sorted(windows.touched(), key=lambda one: one[1]) == [
        ("a", 0, None),
        ("a", 10, {("started",): 1}),
    ]


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_a_position_never_goes_back(order: tuple[int, ...]) -> None:
    progress = Progress()
    for offset in (*order, 2, 0):
        progress.note(Record("t", 0, offset, None, None, (), 1000 - offset), 2000)
    place = progress.place_of(TopicPartition("t", 0))
    assert place is not None
    assert place.offset == 3


def test_how_far_the_topics_are_read_is_the_slowest_partition() -> None:
    progress = Progress()
    one, two = TopicPartition("t", 0), TopicPartition("t", 1)
    progress.follow([one, two], 1_000)
    assert progress.passed_ms() == 0
    progress.note(Record("t", 0, 0, None, None, (), 500), 1_000)
    assert progress.passed_ms() == 0  # nobody knows yet what the other one has
    progress.measure({one: 3, two: 0}, 1_500)
    assert (progress.passed_ms(), progress.behind) == (500, 2)
    progress.note(Record("t", 0, 2, None, None, (), 600), 1_600)
    assert (progress.passed_ms(), progress.behind) == (1_500, 0)
    progress.measure({one: 4, two: 0}, 2_000)  # the last offset is a transaction's, and no record
    assert progress.passed_ms() == 600
    progress.measure({one: 4, two: 0}, 12_000)
    assert progress.passed_ms() == 12_000
    progress.follow([two], 12_000)
    assert progress.passed_ms() == 12_000
