"""An observer outlives a database that is away for some seconds; how it is tried can be said."""

from __future__ import annotations

from typing import Any

import pytest

from sagas import DefinitionError, EventContext, Retry, Service
from sagas.testing import SagaTestEnvironment
from tests.handlers import Shop
from tests.samples import OrderPlaced


def watching(fails: int, seen: list[str], **options: Any) -> Service:
    """A service whose observer fails that many times."""
    service = Service("watching")
    left = [fails]

    @service.observes(OrderPlaced, **options)
    async def see(order: OrderPlaced, context: EventContext) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError("the database is away")
        seen.append(order.order_id)

    return service


@pytest.mark.parametrize(
    ("fails", "options", "letters"),
    [(5, {}, 0), (6, {}, 1), (1, {"retry": Retry(attempts=1)}, 1)],
    ids=["half a minute", "longer", "as it was said"],
)
async def test_an_observer_is_tried(fails: int, options: dict[str, Any], letters: int) -> None:
    seen: list[str] = []
    async with SagaTestEnvironment([*Shop().services, watching(fails, seen, **options)]) as env:
        await env.start(OrderPlaced(order_id="1"))
        await env.run()
        await env.advance(60)
        assert seen == ([] if letters else ["1"])
        assert len(env.dead_letters) == letters
        env.expect_dead_letters(letters)


def test_anything_else_is_a_mistake() -> None:
    odd: Any = 5
    with pytest.raises(DefinitionError, match=r"retry= is 5; expected Retry\(attempts=5\)"):
        Service("watching").observes(OrderPlaced, retry=odd)
