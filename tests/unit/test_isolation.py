"""Bounds on what runs at once: the law that adapts them, who waits for whom, and who waits elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas import Adaptive, DefinitionError, Service
from sagas.application import SagaSettings
from sagas.core.concurrency import Concurrency, Window, after_call, opened
from sagas.core.definition import Direction
from sagas.limits import worker_settings
from sagas.runtime.isolation import Isolation, IsolationSettings, Place, isolation_of
from sagas.testing.clock import VirtualClock
from tests.samples import OrderFulfilment

DEADLINE_S = 10
SLOW: Place = ("order", "slow", Direction.FORWARD)
QUICK: Place = ("order", "quick", Direction.FORWARD)


# --- the law ----------------------------------------------------------------------------------------


def run(
    bounds: Adaptive, window: Window, took_ms: int, calls: int, *, idle: bool = False
) -> Window:
    for _ in range(calls):
        at_once = 1 if idle else int(window.limit)
        window = after_call(bounds, window, took_ms=took_ms, at_once=at_once, failed=False)
    return window


def test_it_grows_to_its_bound_while_calls_take_as_long_as_ever() -> None:
    bounds = Adaptive(1, 64)
    assert int(run(bounds, opened(bounds), 20, 100).limit) == 64


def test_it_shrinks_when_they_take_longer_and_comes_back() -> None:
    bounds = Adaptive(2, 64)
    usual = run(bounds, opened(bounds), 20, 100)
    slower = run(bounds, usual, 200, 30)
    assert slower.limit < 8
    again = run(bounds, slower, 20, 60)
    assert int(again.limit) == 64


def test_it_does_not_grow_unused() -> None:
    bounds = Adaptive(1, 64)
    assert run(bounds, opened(bounds), 20, 100, idle=True).limit == 4


def test_a_failure_makes_it_smaller() -> None:
    bounds = Adaptive(1, 64)
    window = Window(32.0, 20.0, 50)
    failed = after_call(bounds, window, took_ms=1, at_once=32, failed=True)
    assert failed.limit < 30


def test_a_fixed_bound_stays() -> None:
    window = Window(8.0)
    assert after_call(Adaptive(8, 8), window, took_ms=9_000, at_once=8, failed=True) == window


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 20),
    st.integers(0, 200),
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 300), st.booleans()), max_size=80),
)
def test_it_never_leaves_its_bounds(
    least: int, more: int, calls: list[tuple[int, int, bool]]
) -> None:
    bounds = Adaptive(least, least + more)
    window = opened(bounds)
    for took_ms, at_once, failed in calls:
        window = after_call(bounds, window, took_ms=took_ms, at_once=at_once, failed=failed)
        assert bounds.least <= window.limit <= bounds.most
        assert window.usual_ms >= 0


# --- who waits for whom -----------------------------------------------------------------------------


class Room:
    """Calls that go in when there is room, and stay until they are told to leave."""

    def __init__(
        self,
        declared: Mapping[Place, Concurrency],
        *,
        tenant: int | None = None,
        waiting_max: int = 100,
    ) -> None:
        bounds = IsolationSettings(waiting_max=waiting_max)
        self.clock = VirtualClock()
        self.isolation = Isolation(declared, bounds, tenant_max=tenant, clock=self.clock)
        self.inside: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, place: Place = SLOW, tenant: str | None = None) -> None:
        self._leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, place, tenant))
        await self.rest()

    async def _stay(self, name: str, place: Place, tenant: str | None) -> None:
        async with self.isolation.entered(place, tenant):
            self.inside.append(name)
            try:
                await self._leave[name].wait()
            finally:
                self.inside.remove(name)

    async def leave(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
            await asyncio.wait((self.tasks[name],))
        await self.rest()

    async def rest(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def empty(self) -> None:
        for event in self._leave.values():
            event.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert all(not lane.running and not lane.queues for lane in self.isolation.lanes.values())
        assert all(lane.waiting == 0 for lane in self.isolation.lanes.values())
        assert self.isolation._tenants == {}


async def test_a_step_has_its_bound_and_others_do_not_wait_for_it() -> None:
    room = Room({SLOW: 2})
    for name in "abcd":
        await room.come(name)
    await room.come("quick", QUICK)
    assert room.inside == ["a", "b", "quick"]
    await room.leave("b")
    assert room.inside == ["a", "quick", "c"]
    await room.empty()


async def test_a_tenant_has_its_bound_over_all_steps() -> None:
    room = Room({}, tenant=2)
    await room.come("a1", SLOW, "a")
    await room.come("a2", QUICK, "a")
    await room.come("a3", QUICK, "a")
    await room.come("b1", QUICK, "b")
    await room.come("nobody", QUICK, None)
    assert room.inside == ["a1", "a2", "b1", "nobody"]
    await room.leave("a1")
    assert "a3" in room.inside
    await room.empty()


async def test_tenants_take_turns() -> None:
    room = Room({SLOW: 1})
    await room.come("a1", tenant="a")
    for name in ("a2", "a3", "a4", "b1", "b2"):
        await room.come(name, tenant=name[0])
    served = []
    for _ in range(6):
        (name,) = room.inside
        served.append(name)
        await room.leave(name)
    assert served == ["a1", "a2", "b1", "a3", "b2", "a4"]
    await room.empty()


UNDO: Place = ("order", "slow", Direction.UNDO)


async def test_the_handlers_of_a_tenant_take_turns() -> None:
    """Or a tenant's compensations would wait for as long as it has anything to compensate."""
    room = Room({}, tenant=1)
    await room.come("f0", SLOW, "a")
    for name, place in (("f1", SLOW), ("f2", SLOW), ("q1", QUICK), ("u1", UNDO), ("u2", UNDO)):
        await room.come(name, place, "a")
    served = []
    for number in range(3, 9):
        (name,) = room.inside
        served.append(name)
        await room.come(f"f{number}", SLOW, "a")
        await room.leave(name)
    assert served == ["f0", "f1", "q1", "u1", "f2", "u2"]
    room.tasks["f4"].cancel()
    await room.empty()
    assert room.isolation._turns == {}


async def test_who_waits_for_the_tenant_holds_no_place_of_the_step() -> None:
    room = Room({SLOW: 2}, tenant=1)
    await room.come("a1", tenant="a")
    await room.come("a2", tenant="a")
    await room.come("b1", tenant="b")
    assert room.inside == ["a1", "b1"]
    await room.empty()


async def test_who_gives_up_leaves_nothing_behind() -> None:
    room = Room({SLOW: 1}, tenant=3)
    for name in "abc":
        await room.come(name, tenant="t")
    room.tasks["b"].cancel()
    await room.leave("a")
    assert room.inside == ["c"]
    await room.empty()


async def test_who_is_let_in_and_gives_up_in_the_same_turn_passes_its_place_on() -> None:
    room = Room({SLOW: 1})
    for name in "abc":
        await room.come(name)
    room._leave["a"].set()
    while room.isolation.lanes[SLOW].waiting == 2:  # noqa: ASYNC110 - it is about to
        await asyncio.sleep(0)
    room.tasks["b"].cancel()
    await room.rest()
    assert room.inside == ["c"]
    await room.empty()


async def test_it_is_crowded_for_who_has_more_than_a_share_of_the_waiting_room() -> None:
    room = Room({SLOW: 1}, waiting_max=4)
    await room.come("a0", tenant="a")
    for number in range(1, 5):
        assert not room.isolation.is_crowded(SLOW, "a")
        await room.come(f"a{number}", tenant="a")
    assert room.isolation.is_crowded(SLOW, "a")
    assert not room.isolation.is_crowded(SLOW, "b")
    await room.come("b1", tenant="b")
    await room.come("b2", tenant="b")
    assert room.isolation.is_crowded(SLOW, "b")
    assert not room.isolation.is_crowded(QUICK, "a")
    await room.empty()


async def test_where_nobody_may_wait_there_is_room_for_who_need_not() -> None:
    room = Room({SLOW: 1}, waiting_max=0)
    assert not room.isolation.is_crowded(SLOW, "a")
    await room.come("a")
    assert room.isolation.is_crowded(SLOW, "a")
    await room.leave("a")
    assert not room.isolation.is_crowded(SLOW, "a")


async def test_a_bound_adapts_to_how_long_calls_take() -> None:
    room = Room({SLOW: Adaptive(1, 16)})
    lane = room.isolation._lane(SLOW)
    for took_ms, expected in ((10, 16), (1_000, 2)):
        for _ in range(60):
            async with AsyncExitStack() as stack:
                for _ in range(lane.limit):
                    await stack.enter_async_context(room.isolation.entered(SLOW, None))
                room.clock.advance_to(room.clock.now_ms() + took_ms)
            if took_ms == 1_000:
                break
        assert (lane.limit >= expected) if took_ms == 10 else (lane.limit <= 8)
    await room.empty()


# --- how it is said ---------------------------------------------------------------------------------


def test_nothing_is_bound_where_nothing_is_said() -> None:
    clock = VirtualClock()
    service = Service("inventory")
    assert isolation_of(service, IsolationSettings(), clock=clock) is None
    assert isolation_of(service, IsolationSettings(step=3), clock=clock) is not None
    assert isolation_of(service, IsolationSettings(tenant=3), clock=clock) is not None
    loud = Service("inventory", tenant_concurrency=2)
    assert isolation_of(loud, IsolationSettings(), clock=clock) is not None


@pytest.mark.parametrize("wrong", [0, -1, True, "4", 1.5])
def test_what_is_no_bound_is_told_when_it_is_declared(wrong: object) -> None:
    step = OrderFulfilment.reserve_stock
    with pytest.raises(DefinitionError, match="concurrency="):
        Service("inventory").performs(step, concurrency=wrong)  # type: ignore[call-overload]
    with pytest.raises(DefinitionError, match="concurrency="):
        Service("inventory").undoes(step, concurrency=wrong)  # type: ignore[call-overload]
    with pytest.raises(DefinitionError, match="tenant_concurrency="):
        Service("inventory", tenant_concurrency=wrong)  # type: ignore[arg-type]


def test_bounds_that_cross_are_told() -> None:
    with pytest.raises(DefinitionError, match="the second not smaller"):
        Adaptive(5, 4)
    with pytest.raises(DefinitionError, match="at least 1"):
        Adaptive(0, 4)


def test_settings_say_it_for_every_step() -> None:
    bounds = worker_settings(SagaSettings(step_concurrency="4..64", tenant_concurrency=9)).isolation
    assert (bounds.step, bounds.tenant) == (Adaptive(4, 64), 9)
    assert worker_settings(SagaSettings(step_concurrency="7")).isolation.step == 7
    assert worker_settings(SagaSettings()).isolation == IsolationSettings()
    for wrong in ("0", "9..4", "many"):
        with pytest.raises(ValueError, match=r"such as 4\.\.64"):
            SagaSettings(step_concurrency=wrong)
