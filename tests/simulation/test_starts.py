"""A key that is used again, on the running system: who wins, who is told, and what is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from sagas import (
    NOTHING,
    Event,
    EventContext,
    Reuse,
    Saga,
    SagaExists,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
)
from sagas.core.instance import SagaStatus
from sagas.ports import OutgoingRecord
from sagas.testing import SagaTestEnvironment


class Sold(Event, type="front.Sold.v1"):
    id: str
    note: str = ""


class Unsold(Event, type="front.Unsold.v1"):
    id: str


class Answered(Event, type="front.Answered.v1"):
    id: str


class Denied(Event, type="front.Denied.v1"):
    id: str


class Booked(Event, type="front.Booked.v1"):
    id: str


class Paid(Event, type="till.Paid.v1"):
    id: str


class Declined(Event, type="till.Declined.v1"):
    id: str


class Refunded(Event, type="till.Refunded.v1"):
    id: str


class Packed(Event, type="depot.Packed.v1"):
    id: str


class Once(Saga):
    key = "id"
    start = Start(Sold, by="front", undone=Unsold)
    pay = Step(by="till", on=Sold, done=Paid, refused=Declined, undone=Refunded)
    pack = Step(by="depot", on=Paid, done=Packed, pivot=True)


class AfterEnd(Saga):
    key = "id"
    reuse = Reuse.AFTER_END
    start = Start(Sold, by="front", undone=Unsold)
    pay = Step(by="till", on=Sold, done=Paid, refused=Declined, undone=Refunded)
    pack = Step(by="depot", on=Paid, done=Packed, pivot=True)


class AfterFailure(Saga):
    key = "id"
    reuse = Reuse.AFTER_FAILURE
    start = Start(Sold, by="front", undone=Unsold)
    pay = Step(by="till", on=Sold, done=Paid, refused=Declined, undone=Refunded)
    pack = Step(by="depot", on=Paid, done=Packed, pivot=True)


class Shared(Saga):
    key = "id"
    reuse = Reuse.SAME_WHILE_RUNNING
    start = Start(Sold, by="front", undone=Unsold)
    pay = Step(by="till", on=Sold, done=Paid, refused=Declined, undone=Refunded)
    pack = Step(by="depot", on=Paid, done=Packed, pivot=True)


AnySale = type[Once] | type[AfterEnd] | type[AfterFailure] | type[Shared]


@dataclass
class Shop:
    """What happened: ``paid`` and ``packed`` as (saga id, note), ``unsold`` the starts that were undone."""

    saga: AnySale
    declined: set[str] = field(default_factory=set)
    paid: list[tuple[str, str]] = field(default_factory=list)
    unsold: list[tuple[str, str]] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)

    def services(self) -> list[Service]:
        front, till, depot = Service("front"), Service("till"), Service("depot")

        @front.undoes(self.saga.start)
        async def unsell(sold: Sold, context: StepContext) -> Unsold:
            self.unsold.append((context.saga_id, sold.note))
            return Unsold(id=sold.id)

        @till.performs(self.saga.pay)
        async def pay(sold: Sold, context: StepContext) -> Paid | Declined:
            if sold.note in self.declined:
                return Declined(id=sold.id)
            self.paid.append((context.saga_id, sold.note))
            return Paid(id=sold.id)

        @till.undoes(self.saga.pay)
        async def refund(sold: Sold, paid: Paid | None, context: StepContext) -> Refunded:
            return Refunded(id=sold.id)

        @depot.performs(self.saga.pack)
        async def pack(paid: Paid, context: StepContext) -> Packed:
            return Packed(id=paid.id)

        @depot.observes(Sold)
        async def see(sold: Sold, context: EventContext) -> None:
            self.seen.append((context.saga_id, sold.note))

        return [front, till, depot]

    @asynccontextmanager
    async def open(self, *, without: str = "") -> AsyncIterator[SagaTestEnvironment]:
        services = [service for service in self.services() if service.name != without]
        async with SagaTestEnvironment(services) as env:
            yield env


async def outside(env: SagaTestEnvironment, note: str, **headers: str) -> None:
    """A start as somebody else's producer makes it."""
    said = {"ce_type": Sold.event_type, **headers}
    encoded = tuple((name, value.encode()) for name, value in said.items())
    value = Sold(id="1", note=note).model_dump_json(indent=2).encode()
    topic = env.platform.topics.events("front")
    await env.platform.broker.publish(OutgoingRecord(topic, b"1", value, encoded))
    await env.run()


async def sell(env: SagaTestEnvironment, note: str) -> str:
    saga_id = await env.start(Sold(id="1", note=note))
    await env.wait_for_end(saga_id)
    return saga_id


# --- through the client ---------------------------------------------------------------------------


@pytest.mark.parametrize("saga", [Once, AfterEnd, AfterFailure, Shared])
async def test_the_same_start_is_the_same_run_also_after_its_end(saga: AnySale) -> None:
    shop = Shop(saga)
    async with shop.open() as env:
        assert await sell(env, "a") == await sell(env, "a") == "1"
    assert shop.paid == [("1", "a")]


@pytest.mark.parametrize("saga", [Once, AfterFailure])
async def test_another_start_behind_a_completed_run_is_refused_in_words(saga: AnySale) -> None:
    shop = Shop(saga)
    async with shop.open() as env:
        await sell(env, "a")
        with pytest.raises(
            SagaExists, match=r"'1' was started with another content.*COMPLETED.*use a new key"
        ) as said:
            await env.start(Sold(id="1", note="b"))
    assert (said.value.saga_id, said.value.status) == ("1", SagaStatus.COMPLETED)
    assert shop.paid == [("1", "a")]


@pytest.mark.parametrize("saga", [AfterEnd, AfterFailure, Shared])
async def test_behind_a_failed_run_the_next_one_begins(saga: AnySale) -> None:
    shop = Shop(saga, declined={"a", "b"})
    async with shop.open() as env:
        assert [await sell(env, note) for note in "abc"] == ["1", "1~2", "1~3"]
        assert [env.status(saga_id) for saga_id in ("1", "1~2", "1~3")] == [
            SagaStatus.COMPENSATED,
            SagaStatus.COMPENSATED,
            SagaStatus.COMPLETED,
        ]
        latest = await env.client.latest(saga, "1")
        assert latest is not None
        assert latest.saga_id == "1~3"
        assert await sell(env, "b") == "1~2"
    assert shop.paid == [("1~3", "c")]
    assert shop.unsold == [("1", "a"), ("1~2", "b")]


@pytest.mark.parametrize("saga", [Once, AfterEnd, AfterFailure])
async def test_a_running_saga_takes_no_other_start(saga: AnySale) -> None:
    shop = Shop(saga)
    async with shop.open(without="depot") as env:
        await env.start(Sold(id="1", note="a"))
        await env.run()
        with pytest.raises(SagaExists, match="RUNNING"):
            await env.start(Sold(id="1", note="b"))
        env.expect_unfinished("1")


async def test_while_it_runs_another_start_stands_for_it() -> None:
    shop = Shop(Shared)
    async with shop.open(without="depot") as env:
        await env.start(Sold(id="1", note="a"))
        await env.run()
        assert await env.start(Sold(id="1", note="b")) == "1"
        env.expect_unfinished("1")
    assert shop.paid == [("1", "a")]


# --- where it is handled --------------------------------------------------------------------------


async def test_of_two_starts_at_once_the_first_counts_and_the_other_harms_nobody() -> None:
    """Both clients have looked, and seen nothing."""
    shop = Shop(Once)
    async with shop.open() as env:
        await env.start(Sold(id="1", note="a"))
        await env.start(Sold(id="1", note="b"))
        await env.wait_for_end("1")
        env.expect_dead_letters(1)
        (letter,) = env.dead_letters
        assert env.status("1") is SagaStatus.COMPLETED
    assert letter.service == "front"
    assert letter.exception == "StartRefused"
    assert "'1' was started with another content" in letter.reason
    assert shop.paid == [("1", "a")]


async def test_of_two_starts_of_a_later_run_one_counts() -> None:
    shop = Shop(AfterEnd)
    async with shop.open() as env:
        await sell(env, "a")
        assert {await env.start(Sold(id="1", note=note)) for note in "bc"} == {"1~2"}
        await env.wait_for_end("1~2")
        env.expect_dead_letters(1)
    assert shop.paid == [("1", "a"), ("1~2", "b")]


@pytest.mark.parametrize(
    ("saga", "dead"), [(Once, 1), (AfterEnd, 0), (AfterFailure, 1), (Shared, 0)]
)
async def test_a_start_from_outside_says_no_run_and_gets_the_next_one(
    saga: AnySale, dead: int
) -> None:
    shop = Shop(saga)
    async with shop.open() as env:
        await outside(env, "a", ce_id="x")
        await outside(env, "b", ce_id="y")
        await outside(env, "b", ce_id="z")
        await outside(env, "a", ce_id="w")
        env.expect_dead_letters(2 * dead)
        assert env.status("1") is SagaStatus.COMPLETED
        assert env.status("1~2") is (None if dead else SagaStatus.COMPLETED)
    assert shop.paid == [("1", "a")] if dead else [("1", "a"), ("1~2", "b")]


async def test_a_start_from_outside_is_refused_while_the_saga_runs_and_parks_nothing() -> None:
    shop = Shop(AfterEnd)
    async with shop.open(without="depot") as env:
        await outside(env, "a")
        await outside(env, "b")
        env.expect_unfinished("1")
        env.expect_dead_letters(1)
        assert env.status("1") is SagaStatus.RUNNING
        (letter,) = env.dead_letters
    assert "once it has ended" in letter.reason


async def test_a_run_that_nothing_precedes_is_refused_by_the_host_alone() -> None:
    shop = Shop(AfterEnd)
    async with shop.open() as env:
        await outside(env, "a", ce_saganame="after-end", ce_sagaid="1~2")
        env.expect_dead_letters(1)
        (letter,) = env.dead_letters
    assert (letter.service, shop.paid) == ("front", [])
    assert "the last run of '1' is 'none'" in letter.reason


async def test_a_later_run_begins_once_the_host_has_let_it() -> None:
    """Before, nobody acts: the others can not know that the run before it has ended."""
    shop = Shop(AfterEnd)
    async with shop.open() as env:
        await sell(env, "a")
        env.crash("front")
        await env.start(Sold(id="1", note="b"))
        await env.run()
        assert shop.paid == [("1", "a")]
        await env.restart("front")
        await env.wait_for_end("1~2")
    assert shop.paid == [("1", "a"), ("1~2", "b")]


async def test_a_start_that_is_delivered_again_later_begins_nothing() -> None:
    shop = Shop(AfterEnd)
    async with shop.open() as env:
        for note in "abc":
            await sell(env, note)
        for saga_id in ("1", "1~2", "1~3"):
            await env.redeliver(saga_id)
        await env.run()
        assert env.status("1~4") is None
    assert shop.paid == [("1", "a"), ("1~2", "b"), ("1~3", "c")]


async def test_observers_are_told_of_runs_not_of_what_asked_for_them() -> None:
    shop = Shop(AfterEnd)
    async with shop.open() as env:
        await outside(env, "a")
        await outside(env, "b")
    assert shop.seen == [("1", "a"), ("1~2", "b")]


async def test_a_service_that_has_no_part_but_the_start_leaves_the_decision_to_the_first() -> None:
    class Plain(Saga):
        key = "id"
        reuse = Reuse.AFTER_END
        start = Start(Sold, by="front", undone=NOTHING)
        pay = Step(by="till", on=Sold, done=Paid, undone=Refunded)

    assert Plain.definition.host == "till"
    assert Once.definition.host == "front"


class Asked(Saga):
    key = "id"
    reuse = Reuse.AFTER_END
    start = Start(Sold, by="front", undone=Unsold)
    answer = Wait(by="front", on=Sold, done=Answered, refused=Denied)
    pay = Step(by="front", on=Answered, done=Booked, pivot=True)


async def test_an_answer_right_behind_the_start_of_a_later_run_finds_it_there() -> None:
    front = Service("front")
    front.completes(Asked.answer)

    @front.undoes(Asked.start)
    async def unsell(sold: Sold, context: StepContext) -> Unsold:
        return Unsold(id=sold.id)

    @front.performs(Asked.pay)
    async def book(answered: Answered, context: StepContext) -> Booked:
        return Booked(id=answered.id)

    async with SagaTestEnvironment([front]) as env:
        for note, answer in (("a", Denied(id="1")), ("b", Answered(id="1"))):
            saga_id = await env.start(Sold(id="1", note=note))
            await env.client.complete(Asked.answer, saga_id, answer)
            await env.wait_for_end(saga_id)
        assert env.status("1") is SagaStatus.COMPENSATED
        assert env.status("1~2") is SagaStatus.COMPLETED
