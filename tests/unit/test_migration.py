"""``sagas migrate``: live instances go on under another definition, as a rebuild would have them."""

from __future__ import annotations

from typing import Any

import pytest

from sagas import NOTHING, Event, SagaStatus, Start, Step
from sagas.change.finishing import finishing
from sagas.core.definition import Definition
from sagas.core.saga import Saga
from sagas.ports import BUCKETS
from sagas.runtime.histories import Histories
from sagas.runtime.migration import Migration, Moved, Outcome
from sagas.runtime.rebuild import Means, Rebuild
from sagas.runtime.verification import Verification
from sagas.runtime.waking import Waker
from sagas.testing import SagaTestEnvironment
from tests.parcels import (
    CarrierFull,
    CustomerTold,
    ParcelCollected,
    ParcelPacked,
    ParcelPackedV1,
    ParcelUnpacked,
    ParcelWeighed,
    ParcelWeighedV1,
    ScaleCleared,
    parcel_saga,
    parcel_services,
)
from tests.simulation.workloads.generated import services_of

FIRST = parcel_saga(ParcelPackedV1, ParcelWeighedV1)
LAST = parcel_saga(ParcelPacked, ParcelWeighed)


class ParcelSorted(Event, type="depot.ParcelSorted.v1"):
    parcel_id: str


class ParcelSortedV2(Event, type="depot.ParcelSorted.v2"):
    parcel_id: str


def saga(**changes: Any) -> Any:
    """A parcel without versions; ``changes`` replace steps, and None takes one away."""
    body: dict[str, Any] = {
        "name": "parcel",
        "key": "parcel_id",
        "start": Start(ParcelPackedV1, by="shop", undone=ParcelUnpacked),
        "weigh": Step(by="depot", on=ParcelPackedV1, done=ParcelWeighedV1, undone=ScaleCleared),
        "sort": Step(by="depot", on=ParcelWeighedV1, done=ParcelSorted, undone=NOTHING),
        "collect": Step(
            by="carrier",
            on=ParcelWeighedV1,
            done=ParcelCollected,
            refused=CarrierFull,
            undone=NOTHING,
        ),
    } | changes
    body = {name: value for name, value in body.items() if value is not None}
    return type("Parcel", (Saga,), body)


OLD = saga()
TOLD_LATE = saga(
    tell=Step(by="shop", on=ParcelWeighedV1, done=CustomerTold, undone=NOTHING),
)
UNSORTED = saga(sort=None, retired=(ParcelSorted.event_type,))
NOT_CLEARED = saga(weigh=Step(by="depot", on=ParcelPackedV1, done=ParcelWeighedV1, undone=NOTHING))


def means_of(env: SagaTestEnvironment, new: Any, **given: Any) -> Means:
    at = env.platform
    broker: Any = at.broker
    table: Any = given.get("table", at.table)
    return Means(
        saga=new,
        histories=Histories(new, [new], topics=at.topics, reader=broker._broker),
        table=table,
        waker=Waker(topics=at.topics, broker=broker, clock=at.clock),
        clock=at.clock,
        ids=at.ids,
    )


async def moved(
    means: Means, *known: Definition, dry_run: bool = False, limit: int = 100
) -> list[Moved]:
    by_fingerprint = {one.fingerprint: one for one in known}
    migration = Migration(means, by_fingerprint)
    return [one async for one in migration.run(dry_run=dry_run, limit=limit)]


def plain_services(of: Any) -> dict[str, Any]:
    """Handlers that answer by the fields that every event here has."""
    services = services_of(of, {})
    for service in services.values():
        for key, handler in [*service.performers.items(), *service.undoers.items()]:
            step = of.definition.by_name[key[1]]
            undo = key in service.undoers and service.undoers[key] is handler
            type_ = step.undone if undo else step.done[0]

            def answer(*given: Any, event: Any = of.events[type_]) -> Any:
                fields = {"parcel_id": given[-1].saga_id, "pounds": 2, "text": "", "id": ""}
                return event.model_validate(fields)

            registered = service.undoers if undo else service.performers
            registered[key] = type(handler)(answer, is_async=False, name=handler.name)
    return services


async def waiting(env: SagaTestEnvironment, *ids: str) -> None:
    """Sagas of the old definition that wait for the carrier; then all old workers stop."""
    env.crash("carrier")
    for saga_id in ids:
        await env.start(ParcelPackedV1(parcel_id=saga_id))
    await env.run()
    for service in env._services:
        env.crash(service)


async def agree(means: Means) -> None:
    """The table is what the topics justify under the new definition, also after a rebuild (I13)."""
    before = await means.table.load(means.saga.name, "p-1", events=True)
    assert [one async for one in Verification(means).differences()] == []
    await means.waker.announce(means.saga.name, 1)
    assert await Rebuild(means).run(range(BUCKETS)) is not None
    after = await means.table.load(means.saga.name, "p-1", events=True)
    assert before is not None
    assert after is not None
    assert before.state == after.state


@pytest.fixture
def env() -> SagaTestEnvironment:
    return SagaTestEnvironment(list(plain_services(OLD).values()))


async def test_who_would_sleep_is_woken(env: SagaTestEnvironment) -> None:
    """A step that is new, and follows what has happened already, is performed after the migration only."""
    assert not finishing(OLD.definition, TOLD_LATE.definition).can_finish
    async with env:
        await waiting(env, "p-1")
        means = means_of(env, TOLD_LATE)
        (one,) = await moved(means, OLD.definition)
        assert (one.outcome, one.status, one.reason) == (Outcome.MOVED, "RUNNING", "")
        assert one.definition == OLD.definition.fingerprint
        for service in plain_services(TOLD_LATE).values():
            await env.restart(service)
        await env.run()
        assert env.status("p-1", saga=TOLD_LATE) is SagaStatus.COMPLETED
        types = [recorded.type for recorded in env.history("p-1", saga=TOLD_LATE)]
        assert CustomerTold in types


async def test_without_it_the_saga_would_wait_for_ever(env: SagaTestEnvironment) -> None:
    async with env:
        await waiting(env, "p-1")
        for service in plain_services(TOLD_LATE).values():
            await env.restart(service)
        await env.run()
        env.expect_unfinished("p-1")
        assert env.status("p-1", saga=TOLD_LATE) is SagaStatus.RUNNING


@pytest.mark.parametrize("new", [TOLD_LATE, UNSORTED])
async def test_what_was_moved_is_what_a_rebuild_makes(env: SagaTestEnvironment, new: Any) -> None:
    async with env:
        await waiting(env, "p-1")
        means = means_of(env, new)
        assert [one.outcome for one in await moved(means, OLD.definition)] == [Outcome.MOVED]
        await agree(means)
        env.expect_unfinished("p-1")


async def test_a_step_that_is_gone_leaves_its_saga_running(env: SagaTestEnvironment) -> None:
    waits = ("carrier to perform collect",)
    for new, can in ((UNSORTED, True), (saga(sort=None), False)):
        places = finishing(OLD.definition, new.definition).places
        (place,) = (p for p in places if (p.status, p.waits_for) == ("RUNNING", waits))
        assert (place.hindrance is None) == can
    async with env:
        await waiting(env, "p-1")
        await moved(means_of(env, UNSORTED), OLD.definition)
        for service in plain_services(UNSORTED).values():
            await env.restart(service)
        await env.run()
        assert env.status("p-1", saga=UNSORTED) is SagaStatus.COMPLETED
        types = [recorded.type for recorded in env.history("p-1", saga=UNSORTED)]
        assert ParcelSorted not in types


async def test_it_is_safe_to_repeat_and_comes_to_an_end(env: SagaTestEnvironment) -> None:
    async with env:
        await waiting(env, "p-1", "p-2", "p-3")
        means = means_of(env, TOLD_LATE)
        first = await moved(means, OLD.definition, limit=2)
        assert [one.outcome for one in first] == [Outcome.MOVED] * 2
        rows = {one.saga_id: await means.table.load("parcel", one.saga_id) for one in first}
        migration = Migration(means, {})
        second = [one async for one in migration.run(dry_run=False, limit=2)]
        assert [one.outcome for one in second] == [Outcome.MOVED]
        assert (migration.current, migration.unseen) == (2, 0)
        assert {one.saga_id for one in first + second} == {"p-1", "p-2", "p-3"}
        assert {one: await means.table.load("parcel", one) for one in rows} == rows
        assert await moved(means) == []
        for one in ("p-1", "p-2", "p-3"):
            env.expect_unfinished(one)


async def test_a_dry_run_changes_nothing(env: SagaTestEnvironment) -> None:
    async with env:
        await waiting(env, "p-1")
        means = means_of(env, TOLD_LATE)
        before = await means.table.load("parcel", "p-1", events=True)
        (one,) = await moved(means, OLD.definition, dry_run=True)
        assert one.outcome is Outcome.WOULD_MOVE
        assert await means.table.load("parcel", "p-1", events=True) == before
        env.expect_unfinished("p-1")


async def test_what_can_not_finish_is_left_as_it_is_with_the_reason(
    env: SagaTestEnvironment,
) -> None:
    async with env:
        await waiting(env, "p-1")
        for new, says in (
            (NOT_CLEARED, "what weigh has done is undone by nobody"),
            (saga(sort=None), "the step sort is gone, and ParcelSorted is recorded of it"),
        ):
            means = means_of(env, new)
            before = await means.table.load("parcel", "p-1", events=True)
            (one,) = await moved(means, OLD.definition)
            assert one.outcome is Outcome.LEFT
            assert says in one.reason
            assert await means.table.load("parcel", "p-1", events=True) == before
        env.expect_unfinished("p-1")


async def test_what_a_worker_stores_meanwhile_is_left_to_the_next_run(
    env: SagaTestEnvironment,
) -> None:
    async with env:
        await waiting(env, "p-1")
        table: Any = env.platform.table

        class Busy:
            def __getattr__(self, name: str) -> Any:
                return getattr(table, name)

            async def store(self, _: object) -> bool:
                return False

        (one,) = await moved(means_of(env, TOLD_LATE, table=Busy()), OLD.definition)
        assert one.outcome is Outcome.AGAIN
        (one,) = await moved(means_of(env, TOLD_LATE), OLD.definition)
        assert one.outcome is Outcome.MOVED
        env.expect_unfinished("p-1")


async def test_a_saga_of_former_versions_is_moved_and_reads_as_before() -> None:
    old = parcel_services(FIRST, weighs=ParcelWeighedV1(parcel_id="", pounds=2))
    async with SagaTestEnvironment(list(old.values())) as env:
        await waiting(env, "p-1")
        means = means_of(env, LAST)
        assert [one.outcome for one in await moved(means, FIRST.definition)] == [Outcome.MOVED]
        await agree(means)
        new = parcel_services(LAST, weighs=ParcelWeighed(parcel_id="", weight=1, unit="g"))
        for service in new.values():
            await env.restart(service)
        await env.run()
        assert env.status("p-1", saga=LAST) is SagaStatus.COMPLETED
        assert env.history("p-1", saga=LAST)[1].event == ParcelWeighed(
            parcel_id="p-1", weight=907, unit="g"
        )


async def test_what_a_step_has_recorded_that_is_still_there_is_not_retired(
    env: SagaTestEnvironment,
) -> None:
    """It would be performed again, and its effect forgotten."""
    new = saga(
        sort=Step(by="depot", on=ParcelWeighedV1, done=ParcelSortedV2, undone=NOTHING),
        retired=(ParcelSorted.event_type,),
    )
    outlook = finishing(OLD.definition, new.definition)
    assert any("is retired, and sort is not gone" in place.reason for place in outlook.places)
    async with env:
        await waiting(env, "p-1")
        (one,) = await moved(means_of(env, new), OLD.definition)
        assert (one.outcome, one.reason) == (
            Outcome.LEFT,
            "ParcelSorted is retired, and sort is not gone",
        )
        env.expect_unfinished("p-1")
