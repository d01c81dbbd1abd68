"""The console on memory, for tests: the servers that it looks at, and a browser's part of the talk."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from sagas.adapters.clock import RandomIds, SystemClock
from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.core.saga import Saga
from sagas.operating.explainer import Where
from sagas.operating.lookout import Lookout
from sagas.ports import Record, SagaTable
from sagas.ports.workers import WorkerReport
from sagas.restoring import ListedTable
from sagas.runtime.dead_letter_box import DeadLetterBox
from sagas.runtime.operator import Operator
from sagas.service import Service
from sagas.watching import ServiceStanding
from sagas.web.console.app import console_app
from sagas.web.console.servers import Away, Boxes, Working
from sagas.web.console.sessions import Signer
from sagas.web.console.state import Console
from sagas.web.console.users import Role, User, Users
from sagas.wire.topics import Topics
from tests.operated import DEFINED

__all__ = ["ORIGIN", "MemoryServers", "Visitor", "console_on", "visitor"]

ORIGIN = "http://localhost:8321"


def _broker() -> MemoryBroker:
    return MemoryBroker(SystemClock(), auto_create=True)


@dataclass
class MemoryServers:
    """A broker and a table in memory, either of which may be away."""

    broker: MemoryBroker = field(default_factory=_broker)
    store: MemorySagaTable = field(default_factory=MemorySagaTable)
    redis_is_away: bool = False
    kafka_is_away: bool = False
    namespace: str = "test"
    reports: list[WorkerReport] = field(default_factory=list)

    @asynccontextmanager
    async def table(self) -> AsyncIterator[ListedTable]:
        if self.redis_is_away:
            raise Away("Redis", "redis://x:1", "SAGAS_REDIS", OSError("refused"))
        yield self.store

    @property
    def where(self) -> Where:
        return Where(self.namespace, "memory", None)

    @asynccontextmanager
    async def lookout(
        self, sagas: Sequence[type[Saga]], services: Sequence[Service]
    ) -> AsyncIterator[Lookout]:
        async with self.table() as table:
            yield Lookout(table, topics=Topics(self.namespace), clock=SystemClock(), read={})

    async def working(self, sagas: Sequence[type[Saga]], services: Sequence[Service]) -> Working:
        if self.redis_is_away:
            raise Away("Redis", "redis://x:1", "SAGAS_REDIS", OSError("refused"))
        names = sorted({name for saga in sagas for name in saga.definition.services})
        found = [
            ServiceStanding(name, [one for one in self.reports if one.service == name])
            for name in names
        ]
        return Working(found, "Kafka at x:1 is not available." if self.kafka_is_away else "")

    @asynccontextmanager
    async def operator(self, table: SagaTable) -> AsyncIterator[Operator]:
        self._kafka()
        yield Operator(
            topics=Topics(self.namespace),
            broker=self.broker,
            table=table,
            clock=SystemClock(),
            ids=RandomIds(),
        )

    @asynccontextmanager
    async def boxes(self, services: Sequence[str], *, writes: bool) -> AsyncIterator[Boxes]:
        self._kafka()
        topics, clock, broker = Topics(self.namespace), SystemClock(), self.broker
        boxes = [
            DeadLetterBox(one, topics=topics, broker=broker, admin=broker, clock=clock)
            for one in services
        ]
        there = await broker.describe_topics()
        yield Boxes(
            [box for box in boxes if box.topic in there],
            [box.topic for box in boxes if box.topic not in there],
        )

    @asynccontextmanager
    async def requests(self, sagas: Sequence[str]) -> AsyncIterator[Sequence[Record]]:
        self._kafka()
        names = [Topics(self.namespace).control(saga) for saga in sagas]
        there = await self.broker.describe_topics()
        yield [
            record
            for name in names
            if name in there
            async for record in self.broker.read_to_end(name)
        ]

    async def close(self) -> None:
        pass

    def _kafka(self) -> None:
        if self.kafka_is_away:
            raise Away("Kafka", "x:1", "SAGAS_KAFKA", TimeoutError())


def console_on(
    servers: MemoryServers,
    *,
    users: Users | None = None,
    role: Role = Role.ADMIN,
    origin: str | None = None,
) -> Console:
    """A console that nobody serves."""
    return Console(
        servers=servers,
        sagas=DEFINED,
        services=(),
        signer=Signer(b"a secret of this test"),
        users=users,
        local=User("tester", role),
        origin=origin,
    )


@dataclass
class Visitor:
    """A browser, as far as it matters: cookies, origins and forms."""

    client: httpx.AsyncClient

    async def see(self, path: str, status: int = 200) -> str:
        answer = await self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    async def post(self, page: str, path: str, **fields: str) -> httpx.Response:
        """Post what the page's form would, with these fields filled in."""
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
        return await self.client.post(path, data={**hidden, **fields}, headers={"origin": ORIGIN})


@asynccontextmanager
async def visitor(console: Console, base_url: str = ORIGIN) -> AsyncIterator[Visitor]:
    """Somebody who looks at the console."""
    transport = httpx.ASGITransport(app=console_app(console), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield Visitor(client)
