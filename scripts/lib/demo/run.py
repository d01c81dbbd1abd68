"""The parts of a run: placing orders, waiting for what happens, examples, the books."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from demo.watch import Watch
from demo.workload import Workload
from demo.world import World
from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.application import SagaView, client_of
from sagas.core.instance import SagaStatus
from services import books
from services.orders.desk import Answer
from services.orders.main import desk_of

__all__ = ["examples", "placed_by", "settled", "until"]

_CUSTOMERS = 20
"""How many place their orders, and how many confirm receipts, at the same time."""

_SETTLE_S = 15
"""Observers may learn of an end a little later than we do."""


@asynccontextmanager
async def placed_by(world: World, work: Workload, watch: Watch) -> AsyncIterator[None]:
    """Place all orders in the background and confirm their receipt, as customers would.

    Each is placed in a transaction of its own, and confirmed by the customer who sees it paid.
    """
    desk = desk_of(world.databases["orders"], world.platform)
    waiting = iter(work.orders)

    async def customer() -> None:
        for order in waiting:
            await watch.unfinished.acquire()
            watch.placing(order.order_id)
            await desk.place(order)

    async def receiver() -> None:
        while True:
            order_id = await watch.paid.get()
            if await desk.confirm(order_id) is Answer.ACCEPTED:
                watch.confirmed.add(order_id)

    async with asyncio.TaskGroup() as group:
        customers = [
            group.create_task(one()) for one in (customer, receiver) for _ in range(_CUSTOMERS)
        ]
        yield
        for task in customers:
            task.cancel()


async def until(
    event: asyncio.Event,
    interrupted: asyncio.Event,
    serving: asyncio.Task[None],
    *,
    timeout_s: float,
) -> None:
    """Wait for the event, or for the user, or for too long; an error of a service is raised."""
    waits: list[asyncio.Task[Any]] = [
        asyncio.create_task(event.wait()),
        asyncio.create_task(interrupted.wait()),
    ]
    await asyncio.wait([*waits, serving], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    if serving.done():
        await serving
        raise RuntimeError("the services stopped by themselves")


async def examples(world: World, watch: Watch) -> list[SagaView]:
    """One saga that was completed and one that was compensated, of those where most happened."""
    client = client_of(world.platform, [OrderFulfilment])
    found = []
    for status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED):
        ids = sorted(id_ for id_, ended in watch.ended.items() if ended == status)[:50]
        views = [await client.get(OrderFulfilment, id_) for id_ in ids]
        found += sorted(filter(None, views), key=lambda view: -len(view.timeline))[:1]
    return found


async def settled(world: World) -> list[str]:
    """What the books find once they balance, or still find when that takes too long."""
    deadline = asyncio.get_running_loop().time() + _SETTLE_S
    while True:
        found = books.findings(await books.read(world.databases))
        if not found or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(0.1)
