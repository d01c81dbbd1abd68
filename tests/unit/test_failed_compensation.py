"""A compensation that fails for good: the saga blocks, calls somebody, or goes on; and one that is run
once more under an epoch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from sagas import (
    BLOCK,
    CONTINUE,
    ESCALATE,
    NOTHING,
    DefinitionError,
    Event,
    EventContext,
    Retry,
    Saga,
    SagaStatus,
    Service,
    Start,
    Step,
    StepContext,
)
from sagas.adapters.memory.journal import MemoryJournal
from sagas.core.controls import Compensate
from sagas.core.definition import SAGA_CANCELLED, SAGA_PARKED, SAGA_RESUMED, START, Role
from sagas.core.evolve import evolve
from sagas.core.framework_events import (
    AgainRequested,
    CompensateRequested,
    ResumeRequested,
    RetryRequested,
    SagaParked,
)
from sagas.core.instance import Fact, Instance
from sagas.operating.mending import mends_of
from sagas.runtime.operator import outlook_of
from sagas.runtime.views import Outstanding, SagaView
from sagas.testing import SagaTestEnvironment
from sagas.wire.stored import decode_instance

ONCE = Retry(attempts=1)


class TripEvent(Event):
    id: str


class Asked(TripEvent, type="trips.Asked.v1"): ...


class Dropped(TripEvent, type="trips.Dropped.v1"): ...


class Flown(TripEvent, type="flights.Booked.v1"): ...


class Unflown(TripEvent, type="flights.Cancelled.v1"): ...


class Slept(TripEvent, type="hotels.Booked.v1"): ...


class Unslept(TripEvent, type="hotels.Cancelled.v1"): ...


class Full(TripEvent, type="cars.Full.v1"): ...


class Driven(TripEvent, type="cars.Rented.v1"): ...


class Trip(Saga):
    key = "id"
    start = Start(Asked, by="trips", undone=Dropped)
    fly = Step(
        by="flights",
        on=Asked,
        done=Flown,
        undone=Unflown,
        retry=ONCE,
        if_undo_fails=ESCALATE,
    )
    sleep = Step(
        by="hotels", on=Flown, done=Slept, undone=Unslept, retry=ONCE, if_undo_fails=CONTINUE
    )
    drive = Step(by="cars", on=Slept, done=Driven, refused=Full, undone=NOTHING)


@dataclass
class World:
    """The services of the trip; a compensation that is in ``broken`` raises."""

    broken: set[str] = field(default_factory=set)
    undone: list[tuple[str, int]] = field(default_factory=list)
    escalated: list[str] = field(default_factory=list)
    full: bool = True

    def _undo(self, what: str, context: StepContext) -> None:
        if what in self.broken:
            raise OSError(f"no line to {what}")
        self.undone.append((what, context.epoch))

    @property
    def services(self) -> list[Service]:
        trips, flights, hotels, cars = map(Service, ("trips", "flights", "hotels", "cars"))

        @trips.undoes(Trip.start)
        async def drop(asked: Asked, context: StepContext) -> Dropped:
            self._undo("trip", context)
            return Dropped(id=asked.id)

        @flights.performs(Trip.fly)
        async def fly(asked: Asked, context: StepContext) -> Flown:
            return Flown(id=asked.id)

        @flights.undoes(Trip.fly)
        async def unfly(asked: Asked, flown: Flown | None, context: StepContext) -> Unflown:
            self._undo("flight", context)
            return Unflown(id=asked.id)

        @hotels.performs(Trip.sleep)
        async def sleep(flown: Flown, context: StepContext) -> Slept:
            return Slept(id=flown.id)

        @hotels.undoes(Trip.sleep)
        async def unsleep(flown: Flown, slept: Slept | None, context: StepContext) -> Unslept:
            self._undo("hotel", context)
            return Unslept(id=flown.id)

        @cars.performs(Trip.drive)
        async def drive(slept: Slept, context: StepContext) -> Driven | Full:
            return Full(id=slept.id) if self.full else Driven(id=slept.id)

        @cars.observes(SagaParked)
        async def call_somebody(parked: SagaParked, context: EventContext) -> None:
            if parked.escalated:
                self.escalated.append(f"{context.saga_id}: {parked.step}: {parked.error}")

        return [trips, flights, hotels, cars]


def seen(env: SagaTestEnvironment) -> SagaView:
    view = env.view("1", saga=Trip)
    assert view is not None
    return view


async def test_continue_undoes_the_others_and_ends_as_failed_with_a_ledger() -> None:
    world = World(broken={"hotel"})
    async with SagaTestEnvironment(world.services) as env:
        await env.start(Asked(id="1"))
        await env.run()
        view = seen(env)
        assert view.status is SagaStatus.FAILED
        assert world.undone == [("flight", 0), ("trip", 0)]
        assert view.outstanding == (
            Outstanding("sleep", "hotels", is_known=True, error="OSError: no line to hotel"),
        )


async def test_what_is_left_names_the_command_that_mends_it() -> None:
    async with SagaTestEnvironment(World(broken={"hotel"}).services) as env:
        await env.start(Asked(id="1"))
        await env.run()
        row = await env.platform.table.load(Trip.name, "1")
        assert row is not None
        left = decode_instance(Trip.definition, "1", row.state)
        assert [mend.command for mend in mends_of(left, Trip, several=False)] == [
            'sagas replay-compensations --id 1 --execute --why "..."'
        ]
        await env.ask("1", AgainRequested(step="sleep", epoch=1, by="ann", why="hoping"))
        row = await env.platform.table.load(Trip.name, "1")
        assert row is not None
        still = decode_instance(Trip.definition, "1", row.state)
        assert mends_of(still, Trip, several=True)[0].command.startswith(
            "sagas replay-compensations --id 1 --saga trip "
        )


async def test_run_once_more_it_is_struck_from_the_ledger() -> None:
    world = World(broken={"hotel"})
    async with SagaTestEnvironment(world.services) as env:
        await env.start(Asked(id="1"))
        await env.run()
        world.broken.clear()
        again = AgainRequested(step="sleep", epoch=1, by="ann", why="the line is back")
        await env.ask("1", again)
        assert world.undone[-1] == ("hotel", 1)
        assert seen(env).outstanding == ()
        assert seen(env).status is SagaStatus.FAILED, "an end stays"
        await env.ask("1", again)
        assert world.undone.count(("hotel", 1)) == 1, "an epoch is absolute"
        assert [entry.event for entry in seen(env).timeline][-2:] == [
            "sagas.UndoAgain.v1",
            "hotels.Cancelled.v1",
        ]


async def test_what_was_undone_well_can_be_undone_once_more_too() -> None:
    """Its handler had a bug, say, and paid back too little."""
    world, journal = World(), MemoryJournal()

    @asynccontextmanager
    async def journaled() -> AsyncIterator[tuple[object, ...]]:
        yield (journal,)

    async with SagaTestEnvironment(world.services, resources={"flights": journaled}) as env:
        await env.start(Asked(id="1"))
        await env.run()
        assert seen(env).status is SagaStatus.COMPENSATED
        for epoch in (1, 2):
            await env.ask("1", AgainRequested(step="fly", epoch=epoch, by="ann", why="bug"))
        await env.ask("1", AgainRequested(step="fly", epoch=1, by="ann", why="too late"))
        flights = [epoch for what, epoch in world.undone if what == "flight"]
        assert flights == [0, 1, 2]
        assert seen(env).status is SagaStatus.COMPENSATED


@pytest.mark.parametrize("phase", [SagaStatus.RUNNING, SagaStatus.COMPENSATING])
def test_compensate_turns_back_and_resumes(phase: SagaStatus) -> None:
    start = Fact("1", Asked.event_type, START, Role.DONE, published=True)
    parked = Fact("2", SAGA_PARKED, START, Role.PARKED, "1", published=True)
    instance = evolve(evolve(Instance(Trip.definition, "1"), start), parked)
    if phase is SagaStatus.COMPENSATING:
        instance = evolve(instance, Fact("3", SAGA_CANCELLED, START, Role.CANCELLED, "1"))
    assert instance.status is SagaStatus.PARKED
    types = [one.type for one in outlook_of(instance, Compensate(), 0).emissions]
    turns_back = [SAGA_CANCELLED] if phase is SagaStatus.RUNNING else []
    assert types == [*turns_back, SAGA_RESUMED]


async def test_once_more_may_fail_too_and_says_so() -> None:
    world = World()
    async with SagaTestEnvironment(world.services) as env:
        await env.start(Asked(id="1"))
        await env.run()
        world.broken.add("flight")
        await env.ask("1", AgainRequested(step="fly", epoch=1, by="ann", why="bug"))
        view = seen(env)
        assert view.status is SagaStatus.COMPENSATED
        assert [(one.step, one.error) for one in view.outstanding] == [
            ("fly", "OSError: no line to flight")
        ]
        world.broken.clear()
        await env.ask("1", AgainRequested(step="fly", epoch=2, by="ann", why="mended"))
        assert seen(env).outstanding == ()


async def test_escalate_parks_and_calls() -> None:
    world = World(broken={"flight"})
    async with SagaTestEnvironment(world.services) as env:
        await env.start(Asked(id="1"))
        await env.run()
        view = seen(env)
        assert view.status is SagaStatus.PARKED
        assert [one.step for one in view.outstanding] == ["start", "fly"]
        assert world.escalated == ["1: fly: OSError: no line to flight"]
        world.broken.clear()
        await env.ask("1", ResumeRequested(by="ann", why="the line is back"))
        assert seen(env).status is SagaStatus.COMPENSATED
        assert seen(env).outstanding == ()


async def test_block_is_what_happens_where_nothing_is_said() -> None:
    assert Trip.definition.start.if_undo_fails is BLOCK
    world = World(broken={"trip"})
    async with SagaTestEnvironment(world.services) as env:
        await env.start(Asked(id="1"))
        await env.run()
        assert seen(env).status is SagaStatus.PARKED
        assert world.escalated == []
        env.expect_unfinished("1")


async def test_nothing_is_run_once_more_that_was_never_undone() -> None:
    world = World(full=False)
    async with SagaTestEnvironment(world.services) as env:
        await env.start(Asked(id="1"))
        await env.run()
        assert seen(env).status is SagaStatus.COMPLETED
        await env.ask("1", AgainRequested(step="fly", epoch=1, by="ann", why="by mistake"))
        assert world.undone == []


async def test_retry_resumes_what_is_parked() -> None:
    world = World(broken={"flight"})
    async with SagaTestEnvironment(world.services) as env:
        await env.start(Asked(id="1"))
        await env.run()
        world.broken.clear()
        await env.ask("1", RetryRequested(by="ann", why="now"))
        assert seen(env).status is SagaStatus.COMPENSATED


async def test_compensate_gives_up_a_parked_saga() -> None:
    world = World(broken={"flight"})
    async with SagaTestEnvironment(world.services) as env:
        env.fail(Trip.drive)
        await env.start(Asked(id="1"))
        await env.run()
        assert seen(env).status is SagaStatus.PARKED
        world.broken.clear()
        await env.ask("1", CompensateRequested(by="ann", why="enough"))
        assert seen(env).status is SagaStatus.COMPENSATED


def test_the_name_of_a_policy_is_no_policy() -> None:
    with pytest.raises(DefinitionError, match=r"is 'BLOCK'; expected BLOCK.* imported from sagas"):

        class Odd(Saga):
            key = "id"
            start = Start(Asked, by="trips", undone=Dropped, if_undo_fails="BLOCK")  # type: ignore[call-overload]


def test_a_policy_where_nothing_is_undone_is_a_mistake() -> None:
    with pytest.raises(DefinitionError, match="if_undo_fails= is said of a step that is never un"):

        class Odd(Saga):
            key = "id"
            start = Start(Asked, by="trips", undone=NOTHING, if_undo_fails=CONTINUE)
            fly = Step(by="flights", on=Asked, done=Flown, undone=NOTHING)
