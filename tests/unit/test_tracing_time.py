"""Traces of what takes time: attempts, waits, timeouts, and what is parked."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import StatusCode

from sagas import (
    NOTHING,
    AllOf,
    AnyOf,
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
from sagas.testing import SagaTestEnvironment
from sagas.wire.envelope import Trail
from sagas.wire.trace import context_of
from tests.traced import Traced

TRACE = "a" * 32
CALLER = f"00-{TRACE}-{'b' * 16}-01"


@pytest.fixture
def traced() -> Traced:
    return Traced()


class Placed(Event, type="desk.Placed.v1"):
    id: str


class Cancelled(Event, type="desk.Cancelled.v1"):
    id: str


class Booked(Event, type="hotel.Booked.v1"):
    id: str


class Unbooked(Event, type="hotel.Unbooked.v1"):
    id: str


class Insured(Event, type="bank.Insured.v1"):
    id: str


class Approved(Event, type="desk.Approved.v1"):
    id: str


class Assumed(Event, type="desk.Assumed.v1"):
    id: str


class Paid(Event, type="bank.Paid.v1"):
    id: str


class Trip(Saga):
    key = "id"
    step_timeout = seconds(600)
    start = Start(Placed, by="desk", undone=Cancelled)
    book = Step(
        by="hotel",
        on=Placed,
        done=Booked,
        undone=Unbooked,
        retry=Retry(attempts=3, backoff=seconds(60), factor=1, jitter=0),
    )
    insure = Step(by="bank", on=Placed, done=Insured, undone=NOTHING)
    approve = Wait(
        by="desk",
        on=AllOf(Booked, Insured),
        done=Approved,
        timeout=seconds(3600),
        otherwise=Assumed,
    )
    pay = Step(by="bank", on=AnyOf(Approved, Assumed), done=Paid, pivot=True)


@dataclass
class Agency:
    """The services of a trip; booking fails so often, and insuring never answers in time if ``slow``."""

    failures: int = 0
    slow: bool = False
    heard: list[str] = field(default_factory=list)

    @property
    def services(self) -> list[Service]:
        desk, hotel, bank = Service("desk"), Service("hotel"), Service("bank")
        desk.completes(Trip.approve)

        @desk.undoes(Trip.start)
        async def cancel(placed: Placed, context: StepContext) -> Cancelled:
            return Cancelled(id=placed.id)

        @hotel.performs(Trip.book)
        async def book(placed: Placed, context: StepContext) -> Booked:
            if context.attempt <= self.failures:
                raise ConnectionError("full up")
            return Booked(id=placed.id)

        @hotel.undoes(Trip.book)
        async def unbook(placed: Placed, booked: Booked | None, context: StepContext) -> Unbooked:
            return Unbooked(id=placed.id)

        @bank.performs(Trip.insure)
        async def insure(placed: Placed, context: StepContext) -> Insured:
            return Insured(id=placed.id)

        @bank.performs(Trip.pay)
        async def pay(answer: Approved | Assumed, context: StepContext) -> Paid:
            return Paid(id=answer.id)

        @desk.observes(Booked)
        async def hear(booked: Booked, context: EventContext) -> None:
            self.heard.append(booked.id)

        return [desk, hotel, bank]


def own_trace() -> str:
    return context_of(None, "trip", "1").split("-")[1]


def ms(span: ReadableSpan) -> int:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) // 1_000_000


async def test_attempts_are_below_their_step_wherever_they_are_made(traced: Traced) -> None:
    async with SagaTestEnvironment(Agency(failures=2).services, telemetry=traced) as env:
        await env.start(Placed(id="1"))
        await env.wait_for_end("1")
    book = traced.one("book")
    attempts = [span for span in traced.spans if span.name == "attempt book"]
    assert [(one.attributes or {})["sagas.attempt"] for one in attempts] == [1, 2, 3]
    assert {one.parent and one.parent.span_id for one in attempts} == {
        book.context and book.context.span_id
    }
    assert [one.status.status_code for one in attempts] == [StatusCode.ERROR] * 2 + [
        StatusCode.UNSET
    ]
    assert attempts[0].status.description == "full up"
    assert (attempts[0].attributes or {})["error.type"] == "ConnectionError"
    assert ms(book) >= 120_000, "the waits between the attempts are the step's"
    assert book.status.status_code is StatusCode.UNSET


async def test_a_step_that_fails_for_good_is_an_error(traced: Traced) -> None:
    async with SagaTestEnvironment(Agency(failures=9).services, telemetry=traced) as env:
        await env.start(Placed(id="1"))
        assert (await env.wait_for_end("1")).status is SagaStatus.COMPENSATED
    book = traced.one("book")
    assert book.status.status_code is StatusCode.ERROR
    (undo,) = (span for span in traced.spans if span.name == "undo book")
    assert undo.parent is not None
    assert book.context is not None
    assert undo.parent.span_id == book.context.span_id


async def test_a_wait_lasts_until_its_answer_and_what_follows_is_below_it(traced: Traced) -> None:
    other = f"00-{'c' * 32}-{'d' * 16}-01"
    async with SagaTestEnvironment(Agency().services, telemetry=traced) as env:
        await env.start(Placed(id="1"))
        await env.advance(1_000)
        answer = Approved(id="1")
        await env.client.complete(Trip.approve, "1", answer, trail=Trail(traceparent=other))
        await env.wait_for_end("1")
    wait, pay = traced.one("wait approve"), traced.one("pay")
    assert wait.context is not None
    assert wait.parent is not None
    assert pay.parent is not None
    assert pay.parent.span_id == wait.context.span_id
    assert ms(wait) == 1_000_000
    linked = {f"{one.context.trace_id:032x}": one.context.span_id for one in wait.links}
    assert linked.keys() == {"c" * 32, own_trace()}, "who answered has a trace of their own"
    assert {wait.parent.span_id, linked[own_trace()]} == {traced.id("book"), traced.id("insure")}
    sent = [span for span in traced.spans if span.name == "send test.desk.events"]
    assert f"{sent[-1].context.trace_id:032x}" == "c" * 32


async def test_a_wait_whose_time_is_up_is_a_span_too(traced: Traced) -> None:
    async with SagaTestEnvironment(Agency().services, telemetry=traced) as env:
        await env.start(Placed(id="1"))
        await env.wait_for_end("1")
    tree = traced.tree()
    assert tree["pay"] == "wait approve"
    assert tree["wait approve"] in {"book", "insure"}
    wait = traced.one("wait approve")
    assert ms(wait) == 3_600_000
    assert (wait.attributes or {})["sagas.outcome"] == "otherwise"
    (linked,) = wait.links
    assert wait.parent is not None
    ids = {linked.context.span_id, wait.parent.span_id}
    assert ids == {traced.id("book"), traced.id("insure")}, "both of what has triggered it"


@pytest.mark.parametrize("given", [False, True])
async def test_what_is_not_sampled_is_not_made(given: bool) -> None:
    """An instance asks the sampler for a trace of its own; the flag of a caller's counts."""
    traced = Traced(sampler=ParentBased(ALWAYS_ON if given else ALWAYS_OFF))
    unsampled = Trail(traceparent=f"{CALLER[:-2]}00") if given else None
    async with SagaTestEnvironment(Agency().services, telemetry=traced) as env:
        await env.client.start(Placed(id="1"), trail=unsampled)
        await env.wait_for_end("1")
    assert not [span for span in traced.spans if not span.name.startswith(("send", "observe"))]


async def test_a_parked_saga_shows_where(traced: Traced) -> None:
    async with SagaTestEnvironment(Agency().services, telemetry=traced) as env:
        env.fail(Trip.pay, times=None)
        await env.start(Placed(id="1"))
        await env.advance(4_000)
        env.expect_unfinished("1")
    park = traced.one("park pay")
    assert park.status.status_code is StatusCode.ERROR
    assert not [span for span in traced.spans if span.name == "pay"], "it is still to come"
