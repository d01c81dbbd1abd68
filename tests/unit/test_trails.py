"""What travels with a saga reaches every event of it, whatever has woken its services."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sagas import NOTHING, Event, Saga, SagaStatus, Service, Start, Step, StepContext, Wait, seconds
from sagas.core.definition import START, STEP_FAILED, STEP_TIMED_OUT, Direction, Role
from sagas.core.instance import Fact
from sagas.runtime.outside import start_record
from sagas.testing import SagaTestEnvironment
from sagas.wire.envelope import Envelope, Trail, decode_headers
from sagas.wire.topics import Topics
from sagas.wire.trace import child_of, context_of, span_name_of, start_name, trace_id

TRACE = "a" * 32
GIVEN = Trail("corr", "acme", None, f"00-{TRACE}-{'b' * 16}-01", "vendor=1")


class Placed(Event, type="desk.Placed.v1"):
    id: str


class Cancelled(Event, type="desk.Cancelled.v1"):
    id: str


class Booked(Event, type="hotel.Booked.v1"):
    id: str


class Unbooked(Event, type="hotel.Unbooked.v1"):
    id: str


class Checked(Event, type="bank.Checked.v1"):
    id: str


class Approved(Event, type="desk.Approved.v1"):
    id: str


class Assumed(Event, type="desk.Assumed.v1"):
    id: str


class Paid(Event, type="bank.Paid.v1"):
    id: str


class Trip(Saga):
    key = "id"
    start = Start(Placed, by="desk", undone=Cancelled)
    book = Step(by="hotel", on=Placed, done=Booked, undone=Unbooked)
    check = Step(by="bank", on=Placed, done=Checked, undone=NOTHING)
    approve = Wait(by="desk", on=Booked, done=Approved, timeout=seconds(60))
    pay = Step(by="bank", on=Approved, done=Paid, pivot=True)


def services(seen: list[StepContext]) -> list[Service]:
    desk, hotel, bank = Service("desk"), Service("hotel"), Service("bank")
    desk.completes(Trip.approve)

    @desk.undoes(Trip.start)
    async def cancel(placed: Placed, context: StepContext) -> Cancelled:
        seen.append(context)
        return Cancelled(id=placed.id)

    @hotel.performs(Trip.book)
    async def book(placed: Placed, context: StepContext) -> Booked:
        seen.append(context)
        return Booked(id=placed.id)

    @hotel.undoes(Trip.book)
    async def unbook(placed: Placed, booked: Booked | None, context: StepContext) -> Unbooked:
        seen.append(context)
        return Unbooked(id=placed.id)

    @bank.performs(Trip.check)
    async def check(placed: Placed, context: StepContext) -> Checked:
        seen.append(context)
        return Checked(id=placed.id)

    @bank.performs(Trip.pay)
    async def pay(approved: Approved, context: StepContext) -> Paid:
        seen.append(context)
        return Paid(id=approved.id)

    return [desk, hotel, bank]


def decided(env: SagaTestEnvironment) -> Sequence[Envelope]:
    """Every event that a service has decided, as it is on its topic."""
    found = []
    for topic in env._broker.topics:
        for record in env._broker.records(topic):
            envelope = decode_headers(record.headers, record.value or b"", time_ms=0)
            if envelope.seq:
                found.append(envelope)
    return found


@pytest.fixture
def seen() -> list[StepContext]:
    return []


async def test_a_timeout_loses_neither_tenant_nor_trace(seen: list[StepContext]) -> None:
    async with SagaTestEnvironment(services(seen)) as env:
        await env.client.start(Placed(id="1"), trail=GIVEN)
        view = await env.wait_for_end("1")
        assert view.status is SagaStatus.COMPENSATED
        events = decided(env)
    assert {one.type for one in events} >= {STEP_TIMED_OUT, "hotel.Unbooked.v1"}
    assert {(one.trail.tenant, one.trail.correlation_id) for one in events} == {("acme", "corr")}
    assert {trace_id(one.trail.traceparent) for one in events} == {TRACE}
    assert {one.trail.tracestate for one in events} == {"vendor=1"}
    assert {(context.tenant, trace_id(context.traceparent)) for context in seen} == {
        ("acme", TRACE)
    }


async def test_an_answer_from_outside_goes_on_in_the_trace_of_the_saga(
    seen: list[StepContext],
) -> None:
    other = Trail("o", "other", None, f"00-{'c' * 32}-{'d' * 16}-01")
    async with SagaTestEnvironment(services(seen)) as env:
        await env.client.start(Placed(id="1"), trail=GIVEN)
        await env.run()
        await env.client.complete(Trip.approve, "1", Approved(id="1"), trail=other)
        view = await env.wait_for_end("1")
        assert view.status is SagaStatus.COMPLETED
        (paid,) = (one for one in decided(env) if one.type == Paid.event_type)
    assert trace_id(paid.trail.traceparent) == TRACE
    assert (paid.trail.tenant, paid.trail.correlation_id) == ("acme", "corr")
    assert seen[-1].step == "pay"
    assert seen[-1].tenant == "acme"


@pytest.mark.parametrize("traceparent", [None, "nonsense", f"00-{'0' * 32}-{'1' * 16}-01"])
async def test_a_start_without_a_trace_gets_one_for_all(
    seen: list[StepContext], traceparent: str | None
) -> None:
    async with SagaTestEnvironment(services(seen)) as env:
        _, record = start_record([Trip], Topics("test"), Placed(id="1"), trail=Trail(), now_ms=1)
        headers = [(name, value) for name, value in record.headers if name != "traceparent"]
        if traceparent is not None:
            headers.append(("traceparent", traceparent.encode()))
        await env._broker.publish(record._replace(headers=tuple(headers)))
        await env.wait_for_end("1")
        traces = {trace_id(one.trail.traceparent) for one in decided(env)}
    assert traces == {trace_id(context_of(None, "trip", "1"))}


def test_an_action_and_its_outcome_share_a_span() -> None:
    done = Fact("1", "hotel.Booked.v1", "book", Role.DONE)
    refused = Fact("2", "hotel.Full.v1", "book", Role.REFUSED)
    failed = Fact("3", STEP_FAILED, "book", Role.FAILED)
    late = Fact("4", STEP_TIMED_OUT, "book", Role.FAILED)
    undone = Fact("5", "hotel.Unbooked.v1", "book", Role.UNDONE, direction=Direction.UNDO)
    names = [span_name_of("trip", "1", one) for one in (done, refused, failed, late, undone)]
    assert names == [names[0], names[0], names[0], "4", names[4]]
    assert names[4] != names[0]
    assert start_name("trip", "1") == span_name_of(
        "trip", "1", Fact("6", "desk.Placed.v1", START, Role.DONE)
    )
    parent = f"00-{TRACE}-{'b' * 16}-00"
    assert child_of(parent, names[0]) == child_of(parent, names[1])
    assert child_of(parent, "x").startswith(f"00-{TRACE}-")
    assert child_of(parent, "x").endswith("-00")
    assert trace_id(context_of(None, "trip", "1")) != trace_id(context_of(None, "trip", "1~2"))
