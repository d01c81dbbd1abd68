"""What the garbage collector is left, which looks seldom in ``sagas run``."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from sagas import StepContext
from sagas.adapters.clock import SystemClock
from sagas.core.errors import RetriableError
from sagas.runtime.health import MemoryUse
from sagas.runtime.memory import MemoryBound, watch_memory
from sagas.runtime.patience import Patience
from sagas.testing import SagaTestEnvironment
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced, StockReserved


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("error", [RetriableError, ValueError])
async def test_what_a_failed_attempt_was_given_is_let_go_of_without_the_garbage_collector(
    attempts: int, error: type[Exception], *, is_async: bool
) -> None:
    """It looks for cycles after 100,000 objects in ``sagas run``: of 2,500 failures the events, whatever
    they weigh, had waited for it.
    """
    given: list[weakref.ref[OrderPlaced]] = []

    def reserve(order: OrderPlaced, context: StepContext) -> StockReserved:
        if context.attempt <= attempts:
            given.append(weakref.ref(order))
            raise error("the store is away")
        return StockReserved(order_id=order.order_id)

    async def reserve_in_the_loop(order: OrderPlaced, context: StepContext) -> StockReserved:
        return reserve(order, context)

    async with SagaTestEnvironment(Shop().services) as env:
        handler = reserve_in_the_loop if is_async else reserve
        env.replace(OrderFulfilment.reserve_stock, returns=handler)
        await env.start(OrderPlaced(order_id="1"))
        await env.wait_for_end("1")
    assert len(given) == attempts
    assert [one() for one in given] == [None] * attempts


async def test_what_waited_for_a_server_is_let_go_of_without_the_garbage_collector() -> None:
    class Heavy:
        pass

    attempts = 0

    async def send(_: Heavy) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise RetriableError("away")

    heavy = Heavy()
    kept = weakref.ref(heavy)
    await Patience(SystemClock(), pause_s=0).insist(send, heavy)
    del heavy
    assert attempts == 4
    assert kept() is None


async def test_a_worker_does_not_leave_for_want_of_memory_that_the_collector_can_give_back() -> (
    None
):
    class Heavy:
        def __init__(self) -> None:
            self.own = self

    heavy = weakref.ref(Heavy())
    bound = MemoryBound(use=lambda: MemoryUse(100 if heavy() is None else 901, 1_000))
    watch = asyncio.create_task(watch_memory(bound, SystemClock()))
    await asyncio.sleep(0)
    assert not watch.done()
    assert heavy() is None
    watch.cancel()
