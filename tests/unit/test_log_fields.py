"""Every line of a run with failures says which saga, message, step, tenant and trace it is about, and none
says what is in an event.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sagas import (
    Event,
    EventContext,
    Retry,
    Saga,
    SagaStatus,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    seconds,
)
from sagas.observability.events import LogEvent
from sagas.observability.logs import configure_logs
from sagas.testing import SagaTestEnvironment
from sagas.wire.envelope import Trail

ROOT = Path(__file__).resolve().parents[2]
SECRET = "4111-1111-1111-1111"
TRACE = "a" * 32
TRAIL = Trail("corr", "acme", None, f"00-{TRACE}-{'b' * 16}-01")

OF_PROCESSES = {
    LogEvent.WORKER_STARTING,
    LogEvent.WORKER_RUNNING,
    LogEvent.WORKER_STOPPING,
    LogEvent.WORKER_STOPPED,
    LogEvent.DRAIN_FINISHED,
    LogEvent.TIMERS_PUBLISHED,
}
OF_STEPS = {LogEvent.HANDLER_FAILED, LogEvent.RETRY_SCHEDULED, LogEvent.SAGA_EVENT}


class Placed(Event, type="desk.Placed.v1"):
    id: str
    card: str = ""


class Cancelled(Event, type="desk.Cancelled.v1"):
    id: str


class Booked(Event, type="hotel.Booked.v1"):
    id: str
    nights: int = 0


class Unbooked(Event, type="hotel.Unbooked.v1"):
    id: str


class Approved(Event, type="desk.Approved.v1"):
    id: str


class Paid(Event, type="bank.Paid.v1"):
    id: str


class Declined(Event, type="bank.Declined.v1"):
    id: str


class Trip(Saga):
    key = "id"
    start = Start(Placed, by="desk", undone=Cancelled)
    book = Step(
        by="hotel",
        on=Placed,
        done=Booked,
        undone=Unbooked,
        retry=Retry(attempts=3, backoff=seconds(0.5), factor=100, jitter=0),
    )
    approve = Wait(by="desk", on=Booked, done=Approved, timeout=seconds(3600))
    pay = Step(by="bank", on=Approved, done=Paid, refused=Declined, pivot=True)


def services() -> list[Service]:
    desk, hotel, bank = Service("desk"), Service("hotel"), Service("bank")
    desk.completes(Trip.approve)

    @desk.undoes(Trip.start)
    async def cancel(placed: Placed, context: StepContext) -> Cancelled:
        return Cancelled(id=placed.id)

    @hotel.performs(Trip.book)
    async def book(placed: Placed, context: StepContext) -> Booked:
        context.logger.info("booking")
        if context.attempt < 3:
            return Booked(id=placed.id, nights=placed.card)  # type: ignore[arg-type]
        return Booked(id=placed.id)

    @hotel.undoes(Trip.book)
    def unbook(placed: Placed, booked: Booked | None, context: StepContext) -> Unbooked:
        context.logger.info("unbooking")
        return Unbooked(id=placed.id)

    @bank.performs(Trip.pay)
    async def pay(approved: Approved, context: StepContext) -> Paid | Declined:
        return Declined(id=approved.id)

    @bank.observes(Booked)
    async def hear(booked: Booked, context: EventContext) -> None:
        raise ConnectionError("nobody listens")

    return [desk, hotel, bank]


async def a_run_with_failures() -> None:
    """Attempts that fail, a retry topic, an answer from outside, a refusal, a timeout, a dead letter."""
    other = Trail("other", "other", None, f"00-{'c' * 32}-{'d' * 16}-01")
    async with SagaTestEnvironment(services()) as env:
        await env.client.start(Placed(id="1", card=SECRET), trail=TRAIL)
        await env.client.start(Placed(id="2", card=SECRET), trail=TRAIL)
        await env.advance(120)
        await env.client.complete(Trip.approve, "1", Approved(id="1"), trail=other)
        for saga_id in ("1", "2"):
            assert (await env.wait_for_end(saga_id)).status is SagaStatus.COMPENSATED
        env.expect_dead_letters(2)


def main() -> None:
    """In a process of its own: a logger remembers how it was configured when it was used first."""
    configure_logs("DEBUG", "json", sys.stdout)
    asyncio.run(a_run_with_failures())


@pytest.fixture(scope="module")
def text() -> str:
    return subprocess.run(
        [sys.executable, "-c", f"import {__name__} as t; t.main()"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


@pytest.fixture(scope="module")
def told(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_says_what_it_is_about(told: list[dict[str, Any]]) -> None:
    about = [line for line in told if line["event"] not in OF_PROCESSES]
    seen = {line["event"] for line in about}
    assert seen >= {"saga.event", "handler.failed", "retry.scheduled", "message.dead_lettered"}
    for line in about:
        assert line.keys() >= {"time", "level", "service", "at", "saga", "saga_id"}, line
        assert line.keys() >= {"message_id", "message_type"}, line
        assert line["trace_id"] == TRACE, line
        assert (line["tenant"], line["correlation_id"]) == ("acme", "corr"), line
        if line["event"] in {"booking", "unbooking"} or (
            line["event"] in OF_STEPS and "hear" not in line.get("handler", "")
        ):
            assert line["step"] in {"start", "book", "approve", "pay"}, line
    assert {line["direction"] for line in about if line["event"] == "unbooking"} == {"undo"}


def test_each_change_is_one_line(told: list[dict[str, Any]]) -> None:
    changes = Counter(
        (line["saga_id"], line["type"]) for line in told if line["event"] == LogEvent.SAGA_EVENT
    )
    assert set(changes.values()) == {1}
    expected: set[type[Event]] = {Placed, Booked, Approved, Declined, Unbooked, Cancelled}
    assert {type_ for saga_id, type_ in changes if saga_id == "1"} == {
        event.event_type for event in expected
    }


def test_no_line_says_what_is_in_an_event(text: str) -> None:
    """Not even where a handler makes an event of it that does not fit."""
    assert "nights" in text, "the field is named"
    assert SECRET not in text
