"""Records of a former version are decoded, upcast, and handled as the current one, wherever that is
consumed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from sagas import (
    ContractViolation,
    Event,
    Saga,
    SagaStatus,
    Service,
    Start,
    StepContext,
    Wait,
    hours,
    upcasts,
)
from sagas.adapters.memory.journal import MemoryJournal
from sagas.change.finishing import finishing
from sagas.monitoring.contracts import Contracts
from sagas.ports import Record
from sagas.testing import SagaTestEnvironment
from sagas.wire.topics import Topics
from tests.parcels import (
    ParcelPacked,
    ParcelPackedV1,
    ParcelUnpacked,
    ParcelWeighed,
    ParcelWeighedV1,
    ParcelWeighedV2,
    parcel_saga,
    parcel_services,
)

FIRST = parcel_saga(ParcelPackedV1, ParcelWeighedV1)
SECOND = parcel_saga(ParcelPackedV1, ParcelWeighedV2)
LAST = parcel_saga(ParcelPacked, ParcelWeighed)
POUNDS = ParcelWeighedV1(parcel_id="", pounds=2)
GRAMS = ParcelWeighedV2(parcel_id="", grams=907)
UNITS = ParcelWeighed(parcel_id="", weight=907, unit="g")
Told = list[tuple[str, object]]


def weighed(told: Told, by: str) -> list[object]:
    return [given for asked, given in told if asked == by]


CURRENT = ParcelWeighed(parcel_id="p-1", weight=907, unit="g")


@pytest.mark.parametrize("full", [False, True])
async def test_what_an_old_worker_emits_is_handled_as_the_current_version(full: bool) -> None:
    """The depot is of the first generation, everybody else of the last: pounds become grams become a unit."""
    told: Told = []
    new = parcel_services(LAST, weighs=UNITS, told=told, full=full)
    old = parcel_services(FIRST, weighs=POUNDS)
    async with SagaTestEnvironment(list(old.values())) as env:
        for name in ("shop", "printer", "carrier", "watcher"):
            await env.restart(new[name])
        saga_id = await env.start(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        end = SagaStatus.COMPENSATED if full else SagaStatus.COMPLETED
        assert env.status(saga_id, saga=LAST) is end
        history = env.history(saga_id, saga=LAST)
        assert history[0].event == ParcelPacked(parcel_id="p-1", fragile=False)
        assert history[1].event == CURRENT
    assert weighed(told, "label") == [CURRENT]
    assert weighed(told, "watch") == [CURRENT]
    if full:
        assert weighed(told, "unpack") == [ParcelPacked(parcel_id="p-1", fragile=False)]
    else:
        assert weighed(told, "tell") == [CURRENT]


async def test_the_compensation_of_an_old_outcome_is_given_the_current_version() -> None:
    """The old depot has weighed, and the new one has to undo it."""
    told: Told = []
    old = parcel_services(FIRST, weighs=POUNDS, full=True)
    new = parcel_services(LAST, weighs=UNITS, told=told, full=True)
    async with SagaTestEnvironment(list(old.values())) as env:
        env.crash("printer")
        saga_id = await env.start(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        for service in new.values():
            await env.restart(service)
        await env.run()
        assert env.status(saga_id, saga=LAST) is SagaStatus.COMPENSATED
    assert weighed(told, "clear") == [CURRENT]


@pytest.mark.parametrize("down", ["shop", "depot", "printer", "carrier"])
async def test_a_row_of_the_first_generation_goes_on_under_the_last(down: str) -> None:
    old = parcel_services(FIRST, weighs=POUNDS)
    new = parcel_services(LAST, weighs=UNITS)
    assert finishing(FIRST.definition, LAST.definition).can_finish
    async with SagaTestEnvironment(list(old.values())) as env:
        env.crash(down)
        saga_id = await env.start(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        for name in sorted(new, key=lambda name: name == down):
            await env.restart(new[name])
        await env.run()
        assert env.status(saga_id, saga=LAST) is SagaStatus.COMPLETED
        assert env.history(saga_id, saga=LAST)[1].event == CURRENT


async def test_an_old_worker_reads_a_row_that_a_new_one_has_written() -> None:
    """What is recorded stays as it was written: a v1 that only new workers have folded is a v1 to old
    ones.
    """
    old = parcel_services(FIRST, weighs=POUNDS)
    new = parcel_services(LAST, weighs=UNITS)
    async with SagaTestEnvironment(list(old.values())) as env:
        for name in ("shop", "printer"):
            await env.restart(new[name])
        saga_id = await env.start(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        assert env.status(saga_id, saga=FIRST) is SagaStatus.COMPLETED
        view = env.view(saga_id, saga=LAST)
        assert view is not None
        assert [one.written for one in view.timeline][:2] == [
            "shop.ParcelPacked.v1",
            "depot.ParcelWeighed.v1",
        ]


async def test_the_same_start_in_both_versions_is_one_start() -> None:
    new = parcel_services(LAST, weighs=UNITS)
    async with SagaTestEnvironment(list(new.values())) as env:
        await env.publish(ParcelPackedV1(parcel_id="p-1"))
        await env.publish(ParcelPacked(parcel_id="p-1", fragile=False))
        await env.run()
        await env.publish(ParcelPacked(parcel_id="p-1", fragile=False))
        await env.publish(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        assert env.status("p-1", saga=LAST) is SagaStatus.COMPLETED
        assert len(env.history("p-1", saga=LAST)) == 5


async def test_another_start_of_the_key_is_another_start_in_whichever_version() -> None:
    new = parcel_services(LAST, weighs=UNITS)
    async with SagaTestEnvironment(list(new.values())) as env:
        await env.publish(ParcelPacked(parcel_id="p-1", fragile=True))
        await env.run()
        await env.publish(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        env.expect_dead_letters(1)
        assert "started with another content" in env.dead_letters[0].reason


class Moody(Event, type="depot.ParcelWeighed.v2"):
    parcel_id: str
    grams: int

    @staticmethod
    @upcasts(ParcelWeighedV1)
    def in_grams(old: ParcelWeighedV1) -> Moody:
        if old.pounds < 0:
            raise ValueError("less than nothing")
        return Moody(parcel_id=old.parcel_id, grams=round(old.pounds * 453.6))


async def test_what_can_not_be_upcast_is_a_dead_letter_that_says_why_and_parks_nothing_else() -> (
    None
):
    saga = parcel_saga(ParcelPackedV1, Moody)
    old = parcel_services(FIRST, weighs=ParcelWeighedV1(parcel_id="", pounds=-1))
    new = parcel_services(saga, weighs=Moody(parcel_id="", grams=1))
    async with SagaTestEnvironment(list(old.values())) as env:
        for name in ("shop", "printer", "carrier"):
            await env.restart(new[name])
        saga_id = await env.start(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        env.expect_unfinished(saga_id)
        (letter,) = [one for one in env.dead_letters if one.service == "printer"]
        env.expect_dead_letters(len(env.dead_letters))
        assert "depot.ParcelWeighed.v1 can not be made depot.ParcelWeighed.v2" in letter.reason
        assert "in_grams" in letter.reason
        assert "ValueError: less than nothing" in letter.reason


async def test_an_upcaster_that_gives_something_else_is_told_so() -> None:
    class Odd(Event, type="depot.ParcelWeighed.v2"):
        parcel_id: str

        @staticmethod
        @upcasts(ParcelWeighedV1)
        def same(old: ParcelWeighedV1) -> Odd:
            return old  # type: ignore[return-value]

    saga = parcel_saga(ParcelPackedV1, Odd)
    old = parcel_services(FIRST, weighs=POUNDS)
    async with SagaTestEnvironment(list(old.values())) as env:
        await env.restart(parcel_services(saga, weighs=Odd(parcel_id=""))["printer"])
        saga_id = await env.start(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        env.expect_unfinished(saga_id)
        env.expect_dead_letters(1)
        assert "returned ParcelWeighedV1" in env.dead_letters[0].reason
        assert "expected test_an_upcaster" in env.dead_letters[0].reason


# --- the version before, told while others know no other ------------------------------------------------


async def test_a_new_worker_tells_the_version_before_while_old_ones_run() -> None:
    told: Told = []
    old = parcel_services(FIRST, weighs=POUNDS, told=told)
    new = parcel_services(LAST, weighs=ParcelWeighed.as_before(POUNDS))
    async with SagaTestEnvironment(list(old.values())) as env:
        await env.restart(new["depot"])
        start = ParcelPacked.as_before(ParcelPackedV1(parcel_id="p-1"))
        saga_id = await env.start(start)
        await env.run()
        assert env.status(saga_id, saga=FIRST) is SagaStatus.COMPLETED
        assert env.history(saga_id, saga=LAST)[1].event == CURRENT
    assert weighed(told, "label") == [ParcelWeighedV1(parcel_id="p-1", pounds=2)]


def test_the_version_before_is_one() -> None:
    with pytest.raises(ContractViolation, match="was before ParcelWeighedV2 or ParcelWeighedV1"):
        ParcelWeighed.as_before(ParcelPackedV1(parcel_id="p-1"))
    with pytest.raises(ContractViolation, match="it has no former version"):
        ParcelPackedV1.as_before(ParcelPackedV1(parcel_id="p-1"))


async def test_what_the_journal_of_an_old_worker_holds_is_told_as_it_was() -> None:
    """The old depot has committed its effect, and died before it could say so."""
    told: Told = []
    kept = MemoryJournal()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Iterable[object]]:
        yield (kept,)

    old = parcel_services(FIRST, weighs=POUNDS, full=True)
    new = parcel_services(LAST, weighs=UNITS, full=True, told=told)
    async with SagaTestEnvironment(list(old.values()), resources={"depot": opened}) as env:
        env.crash_after(FIRST.weigh)
        saga_id = await env.start(ParcelPackedV1(parcel_id="p-1"))
        await env.run()
        assert env.history(saga_id, saga=FIRST)[1:] == []
        for name in ("shop", "printer", "carrier", "watcher", "depot"):
            await env.restart(new[name])
        await env.run()
        assert env.status(saga_id, saga=LAST) is SagaStatus.COMPENSATED
        view = env.view(saga_id, saga=LAST)
        assert view is not None
        assert view.timeline[1].written == "depot.ParcelWeighed.v1"
    assert weighed(told, "weigh") == []
    assert weighed(told, "clear") == [CURRENT]


# --- requests from outside ------------------------------------------------------------------------------


class RegrettedV1(Event, type="customers.Regretted.v1"):
    parcel_id: str


class Regretted(Event, type="customers.Regretted.v2"):
    parcel_id: str
    why: str

    @staticmethod
    @upcasts(RegrettedV1)
    def without_a_reason(old: RegrettedV1) -> Regretted:
        return Regretted(parcel_id=old.parcel_id, why="")


class ParcelConfirmedV1(Event, type="shop.ParcelConfirmed.v1"):
    parcel_id: str


class ParcelConfirmed(Event, type="shop.ParcelConfirmed.v2"):
    parcel_id: str
    by: str

    @staticmethod
    @upcasts(ParcelConfirmedV1)
    def by_somebody(old: ParcelConfirmedV1) -> ParcelConfirmed:
        return ParcelConfirmed(parcel_id=old.parcel_id, by="somebody")


class Revocable(Saga):
    key = "parcel_id"
    cancelled_by = Regretted
    start = Start(ParcelPackedV1, by="shop", undone=ParcelUnpacked)
    grace = Wait(by="shop", on=ParcelPackedV1, done=ParcelConfirmed, timeout=hours(1))


shop = Service("shop")
shop.completes(Revocable.grace)


@shop.undoes(Revocable.start)
async def unpack(packed: ParcelPackedV1, context: StepContext) -> ParcelUnpacked:
    return ParcelUnpacked(parcel_id=packed.parcel_id)


async def test_a_former_version_of_a_cancellation_cancels_and_of_an_answer_answers() -> None:
    async with SagaTestEnvironment([shop]) as env:
        for one in ("p-1", "p-2"):
            await env.start(ParcelPackedV1(parcel_id=one))
        await env.run()
        await env.publish(RegrettedV1(parcel_id="p-1"))
        confirmed = ParcelConfirmed.as_before(ParcelConfirmedV1(parcel_id="p-2"))
        await env.client.complete(Revocable.grace, "p-2", confirmed)
        await env.run()
        assert env.status("p-1") is SagaStatus.COMPENSATED
        assert env.status("p-2") is SagaStatus.COMPLETED
        assert env.history("p-2")[-1].event == ParcelConfirmed(parcel_id="p-2", by="somebody")


def test_the_monitor_takes_a_former_version_for_the_current_one() -> None:
    topics = Topics("test")
    packed = ParcelPackedV1(parcel_id="p-1")
    value, headers = packed.model_dump_json().encode(), (("ce_type", b"shop.ParcelPacked.v1"),)
    record = Record(topics.events("shop"), 0, 0, None, value, headers, 1_000)
    seen = Contracts([LAST], topics).seen(record, 2_000)
    assert seen is not None
    assert (seen.saga_id, seen.found.fact.type) == ("p-1", "shop.ParcelPacked.v2")
    assert seen.found.fact.written == "shop.ParcelPacked.v1"
