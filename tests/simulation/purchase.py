"""A small saga and its services on memory adapters, in virtual time: the ground for defects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from sagas import NOTHING, Event, Saga, Service, Start, Step
from sagas.adapters.clock import RandomIds
from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.context import StepContext
from sagas.core.instance import SagaStatus
from sagas.runtime.assembly import Platform, ServiceRunner
from sagas.runtime.client import SagaClient
from sagas.runtime.worker import WorkerSettings
from sagas.wire.topics import Topics

__all__ = ["TIMEOUT_S", "TOPICS", "Clock", "Paid", "Placed", "Purchase", "World", "depot", "till"]

TOPICS = Topics("defects")
TIMEOUT_S = 60


class Clock:
    """The loop's virtual time as the framework's ``Clock``."""

    def now_ms(self) -> int:
        """Milliseconds since the loop began, from 2001 on."""
        return 1_000_000_000_000 + round(asyncio.get_running_loop().time() * 1000)

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


class Placed(Event, type="front.Placed.v1"):
    id: str


class Paid(Event, type="till.Paid.v1"):
    id: str
    receipt: str = ""
    amount: float = 0.0


class Refunded(Event, type="till.Refunded.v1"):
    id: str


class Shipped(Event, type="depot.Shipped.v1"):
    id: str


class Unshippable(Event, type="depot.Unshippable.v1"):
    id: str


class Purchase(Saga):
    key = "id"
    start = Start(Placed, by="front", undone=NOTHING)
    pay = Step(by="till", on=Placed, done=Paid, undone=Refunded)
    ship = Step(by="depot", on=Paid, done=Shipped, refused=Unshippable, undone=NOTHING)


Pay = Callable[[Placed, StepContext], Awaitable[Paid]]


async def paid(placed: Placed, context: StepContext) -> Paid:
    return Paid(id=placed.id)


def till(pay: Pay = paid, refunds: list[Paid | None] | None = None) -> Service:
    service = Service("till")

    @service.performs(Purchase.pay)
    async def perform(placed: Placed, context: StepContext) -> Paid:
        return await pay(placed, context)

    @service.undoes(Purchase.pay)
    async def refund(placed: Placed, done: Paid | None, context: StepContext) -> Refunded:
        if refunds is not None:
            refunds.append(done)
        return Refunded(id=placed.id)

    return service


def depot() -> Service:
    service = Service("depot")

    @service.performs(Purchase.ship)
    async def ship(payment: Paid, context: StepContext) -> Shipped | Unshippable:
        return Shipped(id=payment.id)

    return service


class World:
    """Services on memory adapters, the adapters in reach."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.broker = MemoryBroker(self.clock, auto_create=True)
        self.table = MemorySagaTable()
        self.platform = Platform(
            topics=TOPICS,
            broker=self.broker,
            table=self.table,
            clock=self.clock,
            ids=RandomIds(),
            settings=WorkerSettings(**settings),
        )
        self.client = self.client_of()

    def client_of(self, **ports: Any) -> SagaClient:
        parts = {"broker": self.broker, "table": self.table, "clock": self.clock, **ports}
        return SagaClient([Purchase], topics=TOPICS, **parts)

    @asynccontextmanager
    async def running(
        self, *services: Service, resources: Iterable[object] = ()
    ) -> AsyncIterator[list[ServiceRunner]]:
        @asynccontextmanager
        async def lifespan() -> AsyncIterator[Iterable[object]]:
            yield resources

        runners = [ServiceRunner(s, self.platform, resources=lifespan) for s in services]
        tasks = [asyncio.create_task(runner.run()) for runner in runners]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield runners
        finally:
            for runner in runners:
                runner.stop()
            await asyncio.gather(*tasks)

    async def ends(self, saga_id: str) -> SagaStatus:
        return (await self.client.wait_for_end(Purchase, saga_id, timeout_s=TIMEOUT_S)).status

    def dead(self, service: str) -> list[dict[str, str]]:
        records = self.broker.records(TOPICS.dead_letters(service))
        return [{n: v.decode("latin-1") for n, v in record.headers} for record in records]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not holds():  # noqa: ASYNC110 - virtual time: it costs nothing
                await asyncio.sleep(0.01)
