"""An event of whichever service that turns sagas back: when it counts, for which of them, and when not."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from sagas import (
    ContractViolation,
    Event,
    EventContext,
    Reuse,
    Saga,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    hours,
)
from sagas.core.framework_events import SagaCancelled
from sagas.core.instance import SagaStatus
from sagas.ports import OutgoingRecord
from sagas.testing import SagaTestEnvironment


class Ordered(Event, type="shop.Ordered.v1"):
    order: str
    note: str = ""


class Unordered(Event, type="shop.Unordered.v1"):
    order: str


class Slept(Event, type="shop.Slept.v1"):
    order: str


class Paid(Event, type="till.Paid.v1"):
    order: str


class Refunded(Event, type="till.Refunded.v1"):
    order: str


class Sent(Event, type="depot.Sent.v1"):
    order: str


class Closed(Event, type="depot.Closed.v1"):
    order: str


class Regretted(Event, type="customers.Regretted.v1"):
    """Published by a service that has no part in the sagas that it turns back."""

    order: str
    why: str = ""


class Sale(Saga):
    key = "order"
    cancelled_by = Regretted
    reuse = Reuse.AFTER_FAILURE
    start = Start(Ordered, by="shop", undone=Unordered)
    grace = Wait(by="shop", on=Ordered, timeout=hours(1), otherwise=Slept)
    pay = Step(by="till", on=Slept, done=Paid, undone=Refunded)
    send = Step(by="depot", on=Paid, done=Sent, pivot=True)
    close = Step(by="depot", on=Sent, done=Closed)


@dataclass
class Shop:
    """Its services; ``undone`` and ``regretted`` say what they were told."""

    undone: list[str] = field(default_factory=list)
    regretted: list[str] = field(default_factory=list)

    def services(self) -> list[Service]:
        shop, till, depot = Service("shop"), Service("till"), Service("depot")

        @shop.undoes(Sale.start)
        async def unorder(ordered: Ordered, context: StepContext) -> Unordered:
            because = context.because
            self.undone.append(because.why if isinstance(because, SagaCancelled) else "?")
            return Unordered(order=ordered.order)

        @till.performs(Sale.pay)
        async def pay(slept: Slept, context: StepContext) -> Paid:
            return Paid(order=slept.order)

        @till.undoes(Sale.pay)
        async def refund(slept: Slept, paid: Paid | None, context: StepContext) -> Refunded:
            return Refunded(order=slept.order)

        @depot.performs(Sale.send)
        async def send(paid: Paid, context: StepContext) -> Sent:
            return Sent(order=paid.order)

        @depot.performs(Sale.close)
        async def close(sent: Sent, context: StepContext) -> Closed:
            return Closed(order=sent.order)

        @depot.observes(Regretted)
        async def see(regretted: Regretted, context: EventContext) -> None:
            self.regretted.append(regretted.order)

        return [shop, till, depot]


async def regret(env: SagaTestEnvironment, why: str = "", **headers: str) -> None:
    """The event as its own service publishes it, which knows nothing of sagas."""
    said = {"ce_type": Regretted.event_type, **headers}
    value = Regretted(order="1", why=why).model_dump_json().encode()
    await env.platform.broker.publish(
        OutgoingRecord(
            env.platform.topics.events("customers"),
            b"1",
            value,
            tuple((name, text.encode()) for name, text in said.items()),
        )
    )
    await env.run()


async def test_before_the_pivot_it_turns_the_saga_back_and_breaks_a_period_of_grace() -> None:
    shop = Shop()
    async with SagaTestEnvironment(shop.services()) as env:
        await env.start(Ordered(order="1"))
        await env.run()
        await regret(env)
        view = await env.wait_for_end("1")
    assert view.status is SagaStatus.COMPENSATED
    recorded = {entry.event: entry.payload for entry in view.timeline}
    assert Regretted.event_type not in recorded
    cancelled = SagaCancelled.model_validate_json(recorded[SagaCancelled.event_type] or b"")
    assert cancelled == SagaCancelled(by="customers", why=Regretted.event_type)
    assert shop.undone == [Regretted.event_type]
    assert shop.regretted == ["1"]


async def test_past_the_pivot_it_is_too_late_which_one_service_says() -> None:
    shop = Shop()
    async with SagaTestEnvironment(shop.services()) as env:
        env.delay(Sale.close, 60)
        await env.start(Ordered(order="1"))
        await env.advance(3610)
        view = env.view("1")
        assert view is not None
        assert not view.can_be_cancelled
        with capture_logs() as logs:
            await regret(env)
        await env.wait_for_end("1")
        assert env.status("1") is SagaStatus.COMPLETED
    said = [line for line in logs if line["event"] == "cancellation.too_late"]
    assert [line["status"] for line in said] == ["RUNNING"]


async def test_of_a_saga_that_nobody_knows_the_host_alone_keeps_it() -> None:
    async with SagaTestEnvironment(Shop().services()) as env:
        await regret(env)
        env.expect_dead_letters(1)
        (letter,) = env.dead_letters
    assert letter.service == "shop"
    assert "of which nothing is known (yet)" in letter.reason


@pytest.mark.parametrize("id_", [{}, {"ce_id": "r-1"}])
async def test_one_that_comes_again_does_not_meet_a_run_that_nobody_meant(
    id_: dict[str, str],
) -> None:
    async with SagaTestEnvironment(Shop().services()) as env:
        await env.start(Ordered(order="1", note="a"))
        await env.run()
        await regret(env, **id_)
        await env.advance(1)
        assert await env.start(Ordered(order="1", note="b")) == "1~2"
        await env.run()
        topic = env.platform.topics.events("customers")
        (record,) = env._broker.records(topic)
        late = (*record.headers, ("ce_time", b"2020-01-01T00:00:00Z"))
        await env.platform.broker.publish(OutgoingRecord(topic, record.key, record.value, late))
        await env.run()
        assert env.status("1~2") is SagaStatus.RUNNING
        await env.wait_for_end("1~2")
        assert env.status("1~2") is SagaStatus.COMPLETED


async def test_by_its_key_it_means_the_last_run_and_by_its_header_another() -> None:
    async with SagaTestEnvironment(Shop().services()) as env:
        await env.start(Ordered(order="1", note="a"))
        await env.run()
        await regret(env, why="the first time")
        await env.advance(1)
        await env.start(Ordered(order="1", note="b"))
        await env.run()
        await regret(env, why="named", ce_saganame="sale", ce_sagaid="1")
        assert env.status("1~2") is SagaStatus.RUNNING
        await env.advance(1)
        await regret(env, why="the second time")
        assert env.status("1~2") is SagaStatus.COMPENSATED


async def test_one_event_turns_back_every_saga_that_it_cancels() -> None:
    class Begun(Event, type="club.Begun.v1"):
        order: str

    class Ended(Event, type="club.Ended.v1"):
        order: str

    class Lapsed(Event, type="club.Lapsed.v1"):
        order: str

    class Points(Saga):
        key = "order"
        cancelled_by = Regretted
        start = Start(Begun, by="club", undone=Ended)
        wait = Wait(by="club", on=Begun, timeout=hours(9), otherwise=Lapsed)

    club = Service("club")

    @club.undoes(Points.start)
    async def end(begun: Begun, context: StepContext) -> Ended:
        return Ended(order=begun.order)

    async with SagaTestEnvironment([*Shop().services(), club]) as env:
        await env.start(Ordered(order="1"))
        await env.start(Begun(order="1"))
        await env.run()
        await regret(env)
        for saga in (Sale, Points):
            assert env.status("1", saga=saga) is SagaStatus.COMPENSATED


# --- through the client ---------------------------------------------------------------------------


async def test_the_client_asks_and_says_what_would_come_of_it() -> None:
    async with SagaTestEnvironment(Shop().services()) as env:
        client = env.client
        assert await client.cancel(Sale, "1", by="ada", why="no") is None
        await env.start(Ordered(order="1"))
        await env.run()
        outlook = await client.cancel(Sale, "1", by="ada", why="no")
        assert outlook is not None
        assert outlook.possible
        assert outlook.after.status is SagaStatus.COMPENSATING
        view = await env.wait_for_end("1")
        late = await client.cancel(Sale, "1", by="ada", why="no")
        assert late is not None
        assert not late.possible
    assert view.reason == 'sagas.SagaCancelled.v1 {"by":"ada","why":"no"}'


async def test_the_client_publishes_what_cancels() -> None:
    shop = Shop()
    async with SagaTestEnvironment(shop.services()) as env:
        await env.start(Ordered(order="1"))
        await env.run()
        await env.client.cancel_by(Regretted(order="1"))
        view = await env.wait_for_end("1")
        with pytest.raises(ContractViolation, match=r"cancels none.*customers.Regretted.v1"):
            await env.client.cancel_by(Unordered(order="1"))
    assert view.status is SagaStatus.COMPENSATED
