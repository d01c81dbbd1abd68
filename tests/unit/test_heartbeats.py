"""Heartbeats: a handler at work is given time, learns that it is not wanted, and sees what is left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sagas import (
    Event,
    Retry,
    Saga,
    SagaStatus,
    Service,
    Start,
    Step,
    StepAbandoned,
    StepContext,
    minutes,
    seconds,
)
from sagas.core.definition import SAGA_CANCELLED, Direction, Role
from sagas.core.evolve import evolve
from sagas.core.framework_events import CancelRequested, StepTimedOut, TimerFired
from sagas.core.instance import Fact
from sagas.core.refold import Refolded
from sagas.core.timers import timers_of
from sagas.ports import Stamp
from sagas.runtime.operator import Operator
from sagas.runtime.rebuild import change_of
from sagas.testing import SagaTestEnvironment
from sagas.wire.stored import decode_instance


class Asked(Event, type="desk.Asked.v1"):
    id: str


class Dropped(Event, type="desk.Dropped.v1"):
    id: str


class Rendered(Event, type="farm.Rendered.v1"):
    id: str


class Scrapped(Event, type="farm.Scrapped.v1"):
    id: str


class Film(Saga):
    key = "id"
    deadline = minutes(10)
    start = Start(Asked, by="desk", undone=Dropped)
    render = Step(
        by="farm",
        on=Asked,
        done=Rendered,
        undone=Scrapped,
        timeout=seconds(100),
        retry=Retry(attempts=9, backoff=seconds(20), jitter=0),
    )


Work = Callable[[StepContext], Awaitable[None]]


class Farm:
    """A service whose rendering does what a test says, and another that is not busy with the saga."""

    def __init__(self, work: Work) -> None:
        self.work, farm, desk = work, Service("farm"), Service("desk")
        self.services = [farm, desk]
        self.left: list[timedelta | None] = []
        self.scrapped: list[timedelta | None] = []
        farm.performs(Film.render)(self.render)
        farm.undoes(Film.render)(self.scrap)
        desk.undoes(Film.start)(self.drop)

    async def render(self, asked: Asked, context: StepContext) -> Rendered:
        await self.work(context)
        return Rendered(id=asked.id)

    async def drop(self, asked: Asked, context: StepContext) -> Dropped:
        return Dropped(id=asked.id)

    async def scrap(
        self, asked: Asked, rendered: Rendered | None, context: StepContext
    ) -> Scrapped:
        await context.heartbeat()
        self.scrapped.append(context.time_left())
        return Scrapped(id=asked.id)


async def _tells(env: SagaTestEnvironment) -> list[tuple[str, str]]:
    return [
        (name, note) for (_, _), row in env._table.rows.items() for name, note in row.notes.items()
    ]


async def test_without_heartbeats_the_step_times_out() -> None:
    async def work(context: StepContext) -> None:
        await env.clock.sleep(150)

    farm = Farm(work)
    async with SagaTestEnvironment(farm.services) as env:
        saga_id = await env.start(Asked(id="f-1"))
        await env.wait_for_end(saga_id)
        assert env.status(saga_id) is SagaStatus.COMPENSATED
        assert env.history(saga_id)[1].type is StepTimedOut


async def test_each_heartbeat_gives_the_step_its_whole_time_again() -> None:
    async def work(context: StepContext) -> None:
        for _ in range(4):
            await env.clock.sleep(90)
            assert context.time_left() == timedelta(seconds=10)
            await context.heartbeat()
            assert context.time_left() == timedelta(seconds=100)
            assert context.timeout_at == env.clock.now + timedelta(seconds=100)

    farm = Farm(work)
    async with SagaTestEnvironment(farm.services) as env:
        saga_id = await env.start(Asked(id="f-1"))
        view = await env.wait_for_end(saga_id)
        assert view.status is SagaStatus.COMPLETED
        assert env.history(saga_id)[-1].at == timedelta(seconds=360)
        assert await _tells(env) == [], "the note goes with the step's timer"
        assert await env._table.list_timers("film", limit=9) == []


async def test_after_the_last_heartbeat_the_time_is_up_all_the_same() -> None:
    async def work(context: StepContext) -> None:
        await env.clock.sleep(90)
        await context.heartbeat()
        await env.clock.sleep(400)

    farm = Farm(work)
    async with SagaTestEnvironment(farm.services) as env:
        saga_id = await env.start(Asked(id="f-1"))
        await env.wait_for_end(saga_id)
        assert env.history(saga_id)[1].type is StepTimedOut
        assert env.history(saga_id)[1].at == timedelta(seconds=190)


async def test_a_timer_that_was_under_way_when_the_heartbeat_came_does_nothing() -> None:
    beaten = asyncio.Event()

    async def work(context: StepContext) -> None:
        await env.clock.sleep(95)
        await context.heartbeat()
        beaten.set()
        await env.clock.sleep(20)

    farm = Farm(work)
    async with SagaTestEnvironment(farm.services) as env:
        saga_id = await env.start(Asked(id="f-1"))
        start_ms = env.clock.now_ms()
        await env.advance(96)
        assert beaten.is_set()
        await _control(env).ask(
            "film", saga_id, TimerFired(name="render", due_ms=start_ms + 100_000)
        )
        await env.advance(0)
        assert env.status(saga_id) is SagaStatus.RUNNING
        row = env._table.rows["film", saga_id]
        known = decode_instance(Film.definition, saga_id, row.state, notes=row.notes)
        assert timers_of(known)["render"] == start_ms + 195_000
        lost = decode_instance(Film.definition, saga_id, row.state)
        assert timers_of(lost)["render"] == start_ms + 100_000
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED


def _control(env: SagaTestEnvironment) -> Operator:
    at = env.platform
    return Operator(topics=at.topics, broker=at.broker, table=at.table, clock=at.clock, ids=at.ids)


async def test_a_tight_loop_asks_the_table_ten_times_in_a_timeout() -> None:
    async def work(context: StepContext) -> None:
        for _ in range(1_000):
            await context.heartbeat()
            await env.clock.sleep(0.09)

    farm = Farm(work)
    async with SagaTestEnvironment(farm.services) as env:
        loads = _count_loads(env)
        saga_id = await env.start(Asked(id="f-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert 9 <= loads[0] - 1 <= 11


def _count_loads(env: SagaTestEnvironment) -> list[int]:
    count, load = [0], env._table.load

    async def counted(saga: str, saga_id: str, *, events: bool = False) -> object:
        count[0] += not events
        return await load(saga, saga_id, events=events)

    env._table.load = counted  # type: ignore[method-assign,assignment]
    return count


async def test_a_handler_learns_that_the_saga_has_turned_back() -> None:
    raised: list[StepAbandoned] = []

    async def work(context: StepContext) -> None:
        try:
            while True:
                await env.clock.sleep(20)
                await context.heartbeat()
        except StepAbandoned as abandoned:
            raised.append(abandoned)
            raise

    farm = Farm(work)
    async with SagaTestEnvironment(farm.services) as env:
        saga_id = await env.start(Asked(id="f-1"))
        await env.advance(50)
        await _control(env).ask("film", saga_id, CancelRequested(by="ann", why="too dear"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPENSATED
        assert len(raised) == 1, "not tried again"
        assert "film 'f-1' waits for the forward action of render no longer" in str(raised[0])
        assert farm.scrapped == [None]
        assert env.attempts(saga_id) == []


async def test_the_undo_of_a_late_success_is_wanted_though_the_saga_has_ended() -> None:
    """Nobody else knows of the effect (rule 11): another worker has undone the step meanwhile."""

    async def work(context: StepContext) -> None:
        row = await env._table.load("film", "f-1")
        assert row is not None
        instance = decode_instance(Film.definition, "f-1", row.state)
        for fact in (
            Fact("other-1", SAGA_CANCELLED, "start", Role.CANCELLED, "ann", published=True),
            Fact("other-2", Scrapped.event_type, "render", Role.UNDONE, "other-1", Direction.UNDO),
            Fact("other-3", Dropped.event_type, "start", Role.UNDONE, "other-2", Direction.UNDO),
        ):
            instance = evolve(instance, fact)
        ended = Refolded(instance, {}, 1, 0)
        stamp = Stamp(row.stamp.generation, row.stamp.version + 3)
        assert await env._table.store(
            change_of(ended, stamp, token="other", content="", expected=row.stamp)
        )

    farm = Farm(work)
    async with SagaTestEnvironment(farm.services) as env:
        saga_id = await env.start(Asked(id="f-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPENSATED
        assert len(farm.scrapped) == 1
        assert env.dead_letters == []


async def test_a_plain_function_has_heartbeats_too() -> None:
    farm, go = Service("farm"), threading.Event()
    seen: list[str] = []

    @farm.performs(Film.render)
    def render(asked: Asked, context: StepContext) -> Rendered:
        context.heartbeat_soon()
        told.wait(10)
        try:
            go.wait(10)
            context.heartbeat_soon()  # throttled, yet it knows by now
        except StepAbandoned:
            seen.append("abandoned")
            raise
        return Rendered(id=asked.id)

    @farm.undoes(Film.render)
    def scrap(asked: Asked, rendered: Rendered | None, context: StepContext) -> Scrapped:
        return Scrapped(id=asked.id)

    told = threading.Event()
    async with SagaTestEnvironment([farm, Farm(_fine).services[1]]) as env:
        annotate = env._table.annotate

        async def telling(
            saga: str, saga_id: str, name: str, note: str | None, *, due_ms: int | None = None
        ) -> bool:
            kept = await annotate(saga, saga_id, name, note, due_ms=due_ms)
            told.set()
            go.set()
            return kept

        env._table.annotate = telling  # type: ignore[method-assign]
        saga_id = await env.start(Asked(id="f-1"))
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert told.is_set()
    assert seen == []


async def test_the_nearer_of_timeout_and_deadline_is_what_is_left() -> None:
    left: list[tuple[timedelta | None, bool]] = []

    async def work(context: StepContext) -> None:
        for _ in range(7):
            await env.clock.sleep(80)
            await context.heartbeat()
            deadline = env.clock.now - env.clock.elapsed + timedelta(minutes=10)
            left.append((context.time_left(), context.deadline == deadline))

    farm = Farm(work)
    async with SagaTestEnvironment(farm.services) as env:
        await env.start(Asked(id="f-1"))
        await env.run()
    expected = [100, 100, 100, 100, 100, 100, 40]
    assert left == [(timedelta(seconds=number), True) for number in expected]


async def test_a_pause_counts_for_the_timeout() -> None:
    farm = Farm(_fine)
    async with SagaTestEnvironment(farm.services) as env:
        env.fail(Film.render, times=None)
        saga_id = await env.start(Asked(id="f-1"))
        await env.wait_for_end(saga_id)
        assert env.history(saga_id)[1].type is StepTimedOut
        assert env.history(saga_id)[1].at == timedelta(seconds=100)
        assert [one.number for one in env.attempts(saga_id)] == [1, 2, 3]
        await env.run()


async def _fine(context: StepContext) -> None:
    pass


def test_a_context_made_by_hand_has_all_the_time() -> None:
    from tests.unit.test_context import context

    made = context()
    made.heartbeat_soon()
    asyncio.run(made.heartbeat())
    assert (made.time_left(), made.timeout_at, made.deadline) == (None, None, None)
