"""What goes on, look by look: counts, rates, what is idle longest, who works."""

from __future__ import annotations

import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.operating.overview import Overview, Watch
from tests.explained import DELIVERING, PAYING
from tests.recorded import Telling, at
from tests.unit.test_stuck import REFUSED, SERVICES, World


@pytest.fixture
def world() -> World:
    return World()


def later(events: dict[float, Telling], seconds: float) -> dict[float, Telling]:
    return {one + seconds: told for one, told in events.items()}


async def test_counts_rates_and_what_is_idle_longest(world: World) -> None:
    await world.works(*SERVICES)
    watch = Watch(world.lookout(), [OrderFulfilment])
    await world.store("o-1", PAYING)
    await world.store("o-2", DELIVERING)
    world.move_to(5)
    (first,) = (await watch.look()).sagas
    assert (first.by_status["RUNNING"], first.unfinished, first.started_per_s) == (2, 2, None)
    assert first.idlest is not None
    assert (first.idlest.saga_id, first.idlest.changed_at_ms) == ("o-1", at(0.5))
    for number in range(20):
        await world.store(f"e-{number}", later(REFUSED, 6))
    world.move_to(10)
    (second,) = (await watch.look()).sagas
    assert (second.started_per_s, second.ended_per_s) == (4.0, 2.0)
    world.move_to(30)
    (third,) = (await watch.look()).sagas
    assert third.ended_per_s == 0
    assert third.started_per_s == pytest.approx(0)


async def test_what_is_stuck_is_not_looked_for_at_each_look(world: World) -> None:
    await world.works("orders")
    watch = Watch(world.lookout(), [OrderFulfilment])
    await world.store("o-1", PAYING)
    world.move_to(1)
    assert (await watch.look()).stuck.found == 0
    world.move_to(5.9)
    assert (await watch.look()).stuck.found == 0
    world.move_to(6)
    seen: Overview = await watch.look()
    assert [one.listed.saga_id for one in seen.stuck.lines] == ["o-1"]
    assert {one.service: one.workers for one in seen.services} == dict.fromkeys(SERVICES, 0) | {
        "orders": 1
    }


async def test_sagas_that_are_forgotten_make_no_negative_rate(world: World) -> None:
    watch = Watch(world.lookout(), [OrderFulfilment])
    for number in range(3):
        await world.store(f"e-{number}", REFUSED)
    world.move_to(1)
    await watch.look()
    assert await world.table.sweep(OrderFulfilment.name, before_ms=at(5), limit=10) == 3
    world.move_to(2)
    (counts,) = (await watch.look()).sagas
    assert (counts.started_per_s, counts.unfinished, counts.idlest) == (0, 0, None)
