"""A saga whose message is dead-lettered is parked, with the reason; one that was mended goes on."""

from __future__ import annotations

import pytest

from sagas.core.instance import SagaStatus
from sagas.runtime import execution
from sagas.testing import SagaTestEnvironment
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced


async def test_a_dead_letter_parks_its_saga(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that nobody foresaw breaks the handling of one message, and only that."""

    def broken(self: execution.Execution, *_: object, **__: object) -> object:
        raise KeyError("unforeseen")

    async with SagaTestEnvironment(Shop().services) as env:
        with monkeypatch.context() as patch:
            patch.setattr(execution.Execution, "perform", broken)
            saga_id = await env.start(OrderPlaced(order_id="1"))
            await env.run()
        view = env.view(saga_id, saga=OrderFulfilment)
        assert view is not None
        assert view.status is SagaStatus.PARKED
        assert "made orders.OrderPlaced.v1 a dead letter" in (view.reason or "")
        env.expect_unfinished(saga_id)
        env.expect_dead_letters(1)


async def test_an_ended_saga_is_not_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SagaTestEnvironment(Shop().services) as env:
        saga_id = await env.start(OrderPlaced(order_id="1"))
        await env.run()

        def broken(*_: object) -> object:
            raise KeyError("unforeseen")

        with monkeypatch.context() as patch:
            patch.setattr("sagas.core.handling.Handling._next", broken)
            await env.redeliver(saga_id)
        assert env.status(saga_id) is SagaStatus.COMPLETED
        env.expect_dead_letters(len(env.dead_letters))
