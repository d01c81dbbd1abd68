"""Attempts that are far apart: they wait in topics, hold nobody back, count on, and get lost nowhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sagas import (
    EventContext,
    RetriableError,
    Retry,
    Saga,
    SagaStatus,
    Service,
    Start,
    Step,
    StepContext,
    hours,
    minutes,
    seconds,
)
from sagas.application import client_of, embedded_platform
from sagas.core.framework_events import (
    ResumeRequested,
    RetryRequested,
    SagaExpired,
    SagaResumed,
    StepFailed,
)
from sagas.ports import OutgoingRecord
from sagas.runtime.assembly import ServiceRunner
from sagas.runtime.operator import Operator
from sagas.runtime.retry_topics import original_of
from sagas.runtime.worker import WorkerSettings
from sagas.testing import SagaTestEnvironment
from tests.trips import FAR, Agency, Booked, Cancelled, Declined, Paid, Placed, Trip, Unbooked


@pytest.fixture
def agency() -> Agency:
    return Agency()


def waiting(env: SagaTestEnvironment, tier: str, service: str = "hotel") -> int:
    return len(env._broker.records(f"test.{service}.retry.{tier}"))


async def test_long_pauses_are_spent_in_topics_and_attempts_count_on(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=3, error=ConnectionError("no line"))
        saga_id = await env.start(Placed(id="t-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert [attempt.number for attempt in env.attempts(saga_id)] == [1, 2, 3]
        assert [str(one.next_at - one.at) for one in env.attempts(saga_id)] == [
            "0:00:10",
            "0:01:00",
            "0:10:00",  # six minutes, rounded to a tier
        ]
        assert repr(env.attempts(saga_id)[1]) == (
            "+10.000s attempt 2 of book failed: ConnectionError: no line; "
            "the next one is due at +70.000s"
        )
        booked = next(one for one in env.history(saga_id) if one.type is Booked)
        assert booked.at == timedelta(seconds=670)
        assert [waiting(env, tier) for tier in ("10s", "1m", "10m", "1h")] == [1, 1, 1, 0]
    assert agency.calls == [("insure", 1), ("book", 4)], "what runs beside is not held back"
    assert agency.seen == ["t-1"], "observers are told once"


async def test_a_message_that_waits_is_acknowledged_and_holds_nobody_back(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=1)
        first = await env.start(Placed(id="t-1"))
        await env.advance(1)
        second = await env.start(Placed(id="t-2"))
        await env.advance(1)
        assert env.status(second) is SagaStatus.COMPLETED
        assert env.status(first) is SagaStatus.RUNNING
        left = list(env._broker.consumers["test.hotel"].unacknowledged())
        assert [(partition.topic, count) for partition, count in left] == [
            ("test.hotel.retry.10s", 1)
        ]
        await env.run()


async def test_while_it_waits_other_messages_of_the_saga_leave_the_step_alone(
    agency: Agency,
) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=1)
        saga_id = await env.start(Placed(id="t-1"))
        await env.advance(1)
        await env.redeliver(saga_id)
        await env.advance(1)
        assert [name for name, _ in agency.calls] == ["insure"]
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert agency.calls.count(("book", 2)) == 1


async def test_the_last_attempt_fails_the_step_with_all_of_them_counted(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=None, error=RetriableError("busy"))
        saga_id = await env.start(Placed(id="t-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPENSATED
        failed = next(one.event for one in env.history(saga_id) if one.type is StepFailed)
        assert failed == StepFailed(step="book", error="RetriableError: busy", attempts=4)
        row = env._table.rows["trip", saga_id]
        assert row.notes == {}, "no note outlives its action"


async def test_undos_wait_like_forward_actions(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.replace(Trip.pay, returns=Declined(id="t-1"))
        env.fail(Trip.book, times=2, undo=True)
        saga_id = await env.start(Placed(id="t-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPENSATED
        assert [(one.undo, one.number) for one in env.attempts(saga_id)] == [(True, 1), (True, 2)]
        assert agency.calls[-1] == ("unbook", 3)
        assert env.history(saga_id)[-1].at == timedelta(seconds=70)


@pytest.mark.parametrize("moment", [0.0, 5.0, 10.0, 40.0], ids="{}s".format)
async def test_a_worker_that_vanishes_meanwhile_loses_nothing(
    agency: Agency, moment: float
) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=2)
        saga_id = await env.start(Placed(id="t-1"))
        await env.advance(moment)
        env.crash("hotel")
        await env.restart("hotel")
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert agency.calls[-1] == ("book", 3)
        assert env.history(saga_id)[-1].at == timedelta(seconds=70)


@pytest.mark.parametrize(
    ("pause", "after", "tiers"),
    [
        (hours(1.2), hours(1), (0, 0, 1)),
        (hours(2.5), hours(2.5), (0, 3, 2)),
        (hours(3) + seconds(65), hours(3) + seconds(60), (1, 0, 3)),
        (hours(3) + seconds(3), hours(3), (0, 0, 3)),
    ],
    ids=["rounded", "kept", "nearly kept", "a little early"],
)
async def test_a_pause_longer_than_every_tier_is_kept_by_going_through_several(
    agency: Agency,
    monkeypatch: pytest.MonkeyPatch,
    pause: timedelta,
    after: timedelta,
    tiers: tuple[int, ...],
) -> None:
    long = Retry(attempts=2, backoff=pause, backoff_max=hours(4), jitter=0)
    monkeypatch.setattr(Trip, "retries", {**Trip.retries, "book": long})
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=1)
        saga_id = await env.start(Placed(id="t-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert env.history(saga_id)[-1].at == after
        assert tuple(waiting(env, tier) for tier in ("1m", "10m", "1h")) == tiers


async def test_a_record_that_is_lost_is_made_up_for_by_a_timer(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=1)
        saga_id = await env.start(Placed(id="t-1"))
        await env.advance(1)
        await _lose(env, "hotel", "test.hotel.retry.10s")
        await env.wait_for_end(saga_id)
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert agency.calls[-1] == ("book", 2)
        assert env.history(saga_id)[-1].at == timedelta(seconds=70)
        assert await env._table.list_timers("trip", limit=9) == []


async def _lose(env: SagaTestEnvironment, service: str, topic: str) -> None:
    """What waits in the topic counts as read, as if it had expired there."""
    env.crash(service)
    await env._rest.settle()
    group = env._broker._broker._groups[f"test.{service}"]
    for partition, end in list(env._broker.ends(frozenset({topic}))):
        group.committed[partition] = end
        env._broker.committed(f"test.{service}")[partition] = end
    await env.restart(service)


async def test_a_timer_that_finds_nothing_to_do_is_cleared(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        saga_id = await env.start(Placed(id="t-1"))
        await env.run()
        await env._table.annotate("trip", saga_id, "retry/book/forward", "[1,0,0,'']", due_ms=1)
        await env.run()
        assert await env._table.list_timers("trip", limit=9) == []
        assert agency.calls.count(("book", 1)) == 1


async def test_a_lost_table_note_costs_an_early_attempt_and_nothing_else(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=1)
        saga_id = await env.start(Placed(id="t-1"))
        await env.advance(1)
        await env._table.annotate("trip", saga_id, "retry/book/forward", None)
        await env.advance(5)
        assert ("book", 2) not in agency.calls
        await env.run()
        assert agency.calls[-1] == ("book", 2), "the record knows how many there were"
        assert env.status(saga_id) is SagaStatus.COMPLETED


async def test_an_operator_has_it_tried_now(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=1)
        saga_id = await env.start(Placed(id="t-1"))
        await env.advance(1)
        await operator(env).ask("trip", saga_id, RetryRequested(by="ann", why="mended"))
        await env.advance(0)
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert agency.calls[-1] == ("book", 2)
        await env.run()
        assert agency.calls[-1] == ("book", 2), "what waited finds it done"


def operator(env: SagaTestEnvironment) -> Operator:
    at = env.platform
    return Operator(topics=at.topics, broker=at.broker, table=at.table, clock=at.clock, ids=at.ids)


async def test_a_request_whose_attempt_waits_asks_for_nothing_when_it_comes_back(
    agency: Agency,
) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.replace(Trip.pay, returns=Declined(id="t-1"))
        env.fail(Trip.book, times=4, undo=True)
        saga_id = await env.start(Placed(id="t-1"))
        for _ in range(3):
            await env.advance(1)
            await operator(env).ask("trip", saga_id, RetryRequested(by="ann", why="impatient"))
        await env.advance(1)
        assert [one.number for one in env.attempts(saga_id)] == [1, 2, 3]
        assert env.status(saga_id) is SagaStatus.PARKED
        await env.advance(3600)  # what waited for the second attempt and the third comes back
        assert env.status(saga_id) is SagaStatus.PARKED
        assert SagaResumed not in {one.type for one in env.history(saga_id)}
        env.expect_unfinished(saga_id)


async def test_after_a_resumption_attempts_are_counted_anew(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.replace(Trip.pay, returns=Declined(id="t-1"))
        env.fail(Trip.book, times=5, undo=True)
        saga_id = await env.start(Placed(id="t-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.PARKED
        await operator(env).ask("trip", saga_id, ResumeRequested(by="ann", why="mended"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPENSATED
        assert [one.number for one in env.attempts(saga_id)] == [1, 2, 3, 1]
        assert agency.calls[-1] == ("unbook", 2)


class HastyTrip(Saga):
    key = "id"
    deadline = minutes(1)
    start = Start(Placed, by="desk", undone=Cancelled)
    book = Step(by="hotel", on=Placed, done=Booked, undone=Unbooked, retry=FAR)
    pay = Step(by="bank", on=Booked, done=Paid, refused=Declined, pivot=True)


@pytest.mark.parametrize("timers", [True, False], ids=["timers at work", "nobody on duty"])
async def test_past_the_deadline_another_attempt_is_not_begun(*, timers: bool) -> None:
    desk, hotel, bank = Service("desk"), Service("hotel"), Service("bank")
    calls: list[int] = []

    @desk.undoes(HastyTrip.start)
    async def cancel(placed: Placed, context: StepContext) -> Cancelled:
        return Cancelled(id=placed.id)

    @hotel.performs(HastyTrip.book)
    async def book(placed: Placed, context: StepContext) -> Booked:
        calls.append(context.attempt)
        raise ConnectionError

    @hotel.undoes(HastyTrip.book)
    async def unbook(placed: Placed, booked: Booked | None, context: StepContext) -> Unbooked:
        return Unbooked(id=placed.id)

    @bank.performs(HastyTrip.pay)
    async def pay(booked: Booked, context: StepContext) -> Paid | Declined:
        return Paid(id=booked.id)

    async with SagaTestEnvironment([desk, hotel, bank]) as env:
        if not timers:
            await _without_timers(env)
        saga_id = await env.start(Placed(id="t-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPENSATED
        assert SagaExpired in [one.type for one in env.history(saga_id)]
    assert calls == [1, 2]


async def _without_timers(env: SagaTestEnvironment) -> None:
    async def nothing() -> int:
        return 0

    env._rest._timers.publish_due = nothing  # type: ignore[method-assign]


async def test_what_comes_out_of_a_retry_topic_is_the_original(agency: Agency) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        env.fail(Trip.book, times=1)
        saga_id = await env.start(Placed(id="t-1"))
        await env.advance(1)
        waits = env._broker.records("test.hotel.retry.10s")[0]
        start = env._broker.records("test.desk.events")[0]
        assert (waits.key, waits.value) == (start.key, start.value)
        assert waits.headers[: len(start.headers)] == start.headers
        original, retried = original_of(waits)
        assert (original, retried.attempts, retried.step) == (start, 1, "book")
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED


async def test_what_somebody_else_writes_into_a_retry_topic_is_a_dead_letter(
    agency: Agency,
) -> None:
    async with SagaTestEnvironment(agency.services) as env:
        headers = (("retry-step", b"book"), ("ce_type", b"desk.Placed.v1"))
        await env.platform.broker.publish(
            OutgoingRecord("test.hotel.retry.10s", b"t-1", b"{}", headers)
        )
        await env.run()
        (letter,) = env.dead_letters
        assert "its retry headers can not be read" in letter.reason
        env.expect_dead_letters(1)


async def test_who_only_observes_has_no_retry_topics(agency: Agency) -> None:
    watching = Service("watching")

    @watching.observes(Placed)
    async def see(placed: Placed, context: EventContext) -> None: ...

    async with SagaTestEnvironment([watching, *agency.services]) as env:
        assert {t for t in env._broker.topics if t.startswith("test.watching.retry")} == set()
        assert {t for t in env._broker.topics if t.startswith("test.hotel.retry")} != set()


async def test_a_worker_that_is_told_to_stop_lets_go_what_waits(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Retry(attempts=2, backoff=hours(1), backoff_max=hours(1))
    monkeypatch.setattr(Trip, "retries", {**Trip.retries, "book": long})
    hours_of_drain = WorkerSettings(drain_timeout_s=36_000.0, commit_interval_s=0.0)
    failed = asyncio.Event()

    async def book(placed: Placed, context: StepContext) -> Booked:
        failed.set()
        raise ConnectionError

    hotel = Service("hotel")
    hotel.performs(Trip.book)(book)
    hotel.performs(Trip.insure)(agency.insure)
    hotel.undoes(Trip.book)(agency.unbook)
    async with embedded_platform() as platform, asyncio.timeout(30):
        runner = ServiceRunner(hotel, replace(platform, settings=hours_of_drain))
        running = asyncio.create_task(runner.run())
        await client_of(platform, [Trip]).start(Placed(id="t-1"))
        await failed.wait()
        worker = runner.worker
        assert worker is not None
        while not worker._waiting:  # noqa: ASYNC110 - it takes turns of the loop, not time
            await asyncio.sleep(0)
        runner.stop()
        await running
        assert worker.in_flight == 0
