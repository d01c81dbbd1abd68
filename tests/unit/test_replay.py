"""Compensation replay: who is chosen, what is asked, what comes of it, and that twice is once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sagas.adapters.memory.broker import MemoryBroker
from sagas.core.controls import Again
from sagas.core.instance import SagaStatus
from sagas.runtime.histories import Histories
from sagas.runtime.replay import (
    Choice,
    Outcome,
    Planned,
    Replay,
    Report,
    chosen,
    chosen_from_topics,
    plan_of,
)
from sagas.testing import SagaTestEnvironment
from sagas.testing.accounting import WatchedBroker
from tests.unit.test_failed_compensation import Asked, Trip, World


@asynccontextmanager
async def trips(world: World, *ids: str) -> AsyncIterator[SagaTestEnvironment]:
    """Trips that have turned back, and left what is broken."""
    async with SagaTestEnvironment(world.services) as env:
        for id_ in ids:
            await env.start(Asked(id=id_))
            await env.run()
        yield env


async def plans(
    env: SagaTestEnvironment, choice: Choice | None = None, again: Again | None = None
) -> list[Planned]:
    table = env.platform.table
    instances = [one async for one in chosen(table, Trip, choice or Choice(), again=again)]
    return [plan_of(one, again=again, by="ann", why="mended") for one in instances]


async def replayed(env: SagaTestEnvironment, planned: list[Planned]) -> list[Report]:
    at = env.platform
    replay = Replay(Trip, table=at.table, operator=env.operator, clock=at.clock, wait_s=0)
    reports = [report async for report in replay.run(planned)]
    await env.run()
    return reports


async def watched(env: SagaTestEnvironment, planned: list[Planned]) -> list[Report]:
    """Asked, and waited for in virtual time."""
    at = env.platform
    replay = Replay(Trip, table=at.table, operator=env.operator, clock=at.clock)

    async def collect() -> list[Report]:
        return [report async for report in replay.run(planned)]

    collecting = asyncio.create_task(collect())
    while not collecting.done():
        await env.advance(1)
    return await collecting


async def test_the_report_says_how_it_ended() -> None:
    world = World(broken={"hotel"})
    async with trips(world, "1", "2") as env:
        failed = await watched(env, await plans(env))
        assert {(one.outcome, one.left, one.why) for one in failed} == {
            (Outcome.FAILED, ("sleep",), "OSError: no line to hotel")
        }
        world.broken.clear()
        undone = await watched(env, await plans(env))
        assert {(one.outcome, one.left) for one in undone} == {(Outcome.UNDONE, ())}


async def test_the_report_says_that_it_is_parked_anew() -> None:
    world = World(broken={"trip"})
    async with trips(world, "1") as env:
        (report,) = await watched(env, await plans(env))
        assert (report.outcome, report.after) == (Outcome.FAILED, SagaStatus.PARKED)
        env.expect_unfinished("1")


async def test_what_was_given_up_is_run_under_the_next_epoch() -> None:
    world = World(broken={"hotel"})
    async with trips(world, "1", "2") as env:
        world.broken.clear()
        planned = await plans(env)
        assert [plan.instance.saga_id for plan in planned] == ["1", "2"]
        assert all(plan.instance.status is SagaStatus.FAILED for plan in planned)
        reports = await replayed(env, planned)
        assert {report.asked for report in reports} == {("sleep once more, epoch 1",)}
        assert world.undone.count(("hotel", 1)) == 2
        assert await plans(env, Choice(steps=frozenset({"sleep"}))) == []
        reports = await replayed(env, await plans(env))
        assert {(report.outcome, report.why) for report in reports} == {
            (Outcome.NOTHING, "nothing is left to undo")
        }


async def test_what_blocks_is_tried_again() -> None:
    world = World(broken={"trip"})
    async with trips(world, "1") as env:
        world.broken.clear()
        (plan,) = await plans(env)
        assert plan.instance.status is SagaStatus.PARKED
        (report,) = await replayed(env, [plan])
        assert report.asked == ("try again",)
        assert env.status("1", saga=Trip) is SagaStatus.COMPENSATED


async def test_what_fails_again_stays_and_is_asked_for_under_a_higher_epoch() -> None:
    world = World(broken={"hotel"})
    async with trips(world, "1") as env:
        await replayed(env, await plans(env))
        (plan,) = await plans(env)
        (report,) = await replayed(env, [plan])
        assert report.asked == ("sleep once more, epoch 2",)
        assert report.left == ("sleep",)


async def test_again_runs_what_was_undone_well_and_twice_is_once() -> None:
    world, again = World(), Again("fly", 1)
    async with trips(world, "1", "2") as env:
        assert await plans(env) == []
        await replayed(env, await plans(env, again=again))
        reports = await replayed(env, await plans(env, again=again))
        assert world.undone.count(("flight", 1)) == 2, "once for each saga"
        assert {report.why for report in reports} == {"it has run under epoch 1 already"}


async def test_again_says_what_can_not_be() -> None:
    world = World(broken={"flight"})
    async with trips(world, "1") as env:
        (plan,) = await plans(env, again=Again("fly", 1))
        assert (plan.requests, plan.why) == (
            (),
            "the compensation of fly has never run to an end",
        )
        env.expect_unfinished("1")


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (Choice(), {"1", "2"}),
        (Choice(ids=frozenset({"2", "3"})), {"2"}),
        (Choice(statuses=[SagaStatus.PARKED]), set()),
        (Choice(steps=frozenset({"fly"})), set()),
        (Choice(until_ms=1), set()),
        (Choice(since_ms=1), {"1", "2"}),
    ],
    ids=["all", "by id", "by status", "by step", "too late", "in time"],
)
async def test_the_choice(choice: Choice, found: set[str]) -> None:
    async with trips(World(broken={"hotel"}), "1", "2") as env:
        assert {plan.instance.saga_id for plan in await plans(env, choice)} == found


async def test_sagas_are_chosen_from_the_topics_where_the_table_is_gone() -> None:
    async with trips(World(broken={"hotel"}), "1", "2") as env:
        at, kept = env.platform, await plans(env)
        assert isinstance(at.broker, WatchedBroker)
        memory = at.broker._broker
        assert isinstance(memory, MemoryBroker)
        histories = Histories(Trip, [Trip], topics=at.topics, reader=memory)

        async def folded(choice: Choice) -> dict[str, Planned]:
            found = chosen_from_topics(histories, Trip, choice, again=None)
            return {one.saga_id: plan_of(one, again=None, by="ann", why="x") async for one in found}

        everyone = await folded(Choice())
        assert {id_: plan.requests[0].step for id_, plan in everyone.items()} == {  # type: ignore[attr-defined]
            plan.instance.saga_id: plan.requests[0].step  # type: ignore[attr-defined]
            for plan in kept
        }
        assert set(await folded(Choice(ids=frozenset({"2"})))) == {"2"}
        assert await folded(Choice(until_ms=1)) == {}
        assert await folded(Choice(statuses=[SagaStatus.PARKED])) == {}
