"""An event that the row has lost, before it could be told again, is not taken for published."""

from __future__ import annotations

import pytest

from sagas.core.decide import ActionResult, Emission
from sagas.core.definition import START, Role
from sagas.core.enabled import Action
from sagas.core.evolve import evolve
from sagas.core.handling import Handling
from sagas.core.instance import Fact, Instance
from sagas.core.position import Position
from tests.simulation.purchase import Purchase

DEFINITION = Purchase.definition
PLACED = Fact("placed", "front.Placed.v1", START, Role.DONE)
PAID = Fact("paid", "till.Paid.v1", "pay", Role.DONE, cause="placed")


class Losing:
    """A world in which the row is as it was loaded, and may be gone when its event is to be emitted."""

    def __init__(self, *, keeps: bool) -> None:
        instance = evolve(evolve(Instance(DEFINITION, "p"), PLACED), PAID)
        self.at = Position.of(instance._replace(version=2))
        self.keeps = keeps
        self.emitted: list[str] = []

    def begins(self) -> bool:
        return False

    async def load(self) -> Position | None:
        return self.at

    async def store(self, at: Position, recorded: Fact | None) -> Position | None:
        return at.stamped(at.generation, at.version + 1)

    async def emit(self, fact: Fact) -> bool:
        self.emitted.append(fact.id)
        return self.keeps

    async def perform(self, action: Action, at: Position, *, at_once: bool = False) -> ActionResult:
        raise AssertionError(f"{action} is done already")

    def now_ms(self) -> int:
        return 0

    def event_id(self, emission: Emission, cause: Fact) -> str:
        return f"{emission.type} {cause.id}"


@pytest.mark.parametrize("keeps", [True, False])
async def test_what_could_not_be_emitted_is_not_known_to_be_published(*, keeps: bool) -> None:
    world, confirmed = Losing(keeps=keeps), set[str]()
    message = PLACED._replace(published=True)
    handling = Handling(DEFINITION, "till", "p", message, world, confirmed=confirmed)
    await handling.run()
    assert world.emitted == [PAID.id], "its own event, of which nobody has heard yet"
    assert confirmed == ({PAID.id} if keeps else set())
