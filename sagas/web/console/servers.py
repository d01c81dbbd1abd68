"""The servers that the console looks at, as protocols, and the real ones.

Owns that a console starts although Redis or Kafka is away, and comes back by itself: the table is connected
when it is first asked for, Kafka for each question.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from sagas.adapters.redis.settings import redacted
from sagas.adapters.redis.workers import RedisWorkerRegistry
from sagas.application import (
    SagaSettings,
    broker_admin,
    dead_letter_boxes,
    saga_operator,
    saga_table,
)
from sagas.core.errors import SagaError
from sagas.core.saga import Saga
from sagas.operating.explainer import Where
from sagas.operating.lookout import Lookout
from sagas.operating.opening import open_lookout, where_of
from sagas.ports import BrokerUnavailable, Record, SagaTable, TableUnavailable, TopicPartition
from sagas.restoring import ListedTable, TableLost, TableRebuilding
from sagas.runtime.dead_letter_box import DeadLetterBox
from sagas.runtime.operator import Operator
from sagas.service import Service
from sagas.watching import ServiceStanding, standings, topics_read, worker_registry
from sagas.wire.topics import Topics

__all__ = ["REQUESTS_MAX", "TIMEOUT_S", "Away", "Boxes", "RealServers", "Servers", "Working"]

TIMEOUT_S = 5.0
CLIENT_ID = "sagas-web"
REQUESTS_MAX = 2_000
"""So many of the last records of each partition of a control topic are looked at."""


class Away(SagaError):
    """A server does not answer: which one, where, what was seen, and what to do."""

    def __init__(self, server: str, address: str, variable: str, error: BaseException) -> None:
        cause = error.__cause__ or error
        seen = str(cause).rstrip(". ") or type(cause).__name__
        if isinstance(error, TimeoutError) or isinstance(cause, TimeoutError):
            seen = f"no answer within {TIMEOUT_S:g} s"
        super().__init__(
            f"{server} at {address} is not available: {seen}. See that it runs; {variable} says where it is."
        )
        self.server = server


@dataclass(frozen=True, slots=True)
class Boxes:
    """The dead letters of services; ``missing`` are topics of dead letters that are not there."""

    boxes: Sequence[DeadLetterBox]
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Working:
    """Who works, and how far behind the services are; ``problem`` says why the latter is not known."""

    standings: Sequence[ServiceStanding]
    problem: str = ""


class Servers(Protocol):
    """What the console needs of the world. Each raises Away for a server that does not answer in time."""

    @property
    def namespace(self) -> str:
        """The prefix of all topics and keys."""

    def table(self) -> AbstractAsyncContextManager[ListedTable]:
        """The saga table."""

    @property
    def where(self) -> Where:
        """Where sagas are looked for, in words."""

    def lookout(
        self, sagas: Sequence[type[Saga]], services: Sequence[Service]
    ) -> AbstractAsyncContextManager[Lookout]:
        """What is known around sagas; of a Kafka that is away nothing is."""

    async def working(self, sagas: Sequence[type[Saga]], services: Sequence[Service]) -> Working:
        """Who works for these. Without Kafka the lag is not known."""

    def operator(self, table: SagaTable) -> AbstractAsyncContextManager[Operator]:
        """Who publishes what people ask of sagas."""

    def boxes(self, services: Sequence[str], *, writes: bool) -> AbstractAsyncContextManager[Boxes]:
        """The dead letters of these services."""

    def requests(self, sagas: Sequence[str]) -> AbstractAsyncContextManager[Sequence[Record]]:
        """The last records of the sagas' control topics; a topic that is missing has none."""

    async def close(self) -> None:
        """Close what is connected."""


@dataclass(slots=True)
class RealServers:
    """Kafka and Redis, as the settings say."""

    settings: SagaSettings
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _table: ListedTable | None = None
    _lookout: Lookout | None = None
    _registry: RedisWorkerRegistry | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def namespace(self) -> str:
        """The prefix of all topics and keys."""
        return self.settings.namespace

    @asynccontextmanager
    async def table(self) -> AsyncIterator[ListedTable]:
        """The saga table, one for all that is asked."""
        try:
            async with self._opening:
                if self._table is None:
                    opening = saga_table(self.settings, timeout_s=TIMEOUT_S)
                    self._table = await self._stack.enter_async_context(opening)
            yield self._table
        except (TableLost, TableRebuilding):  # Redis answers
            raise
        except TableUnavailable as error:
            raise Away("Redis", redacted(self.settings.redis), "SAGAS_REDIS", error) from error

    @property
    def where(self) -> Where:
        """Where these settings look."""
        return where_of(self.settings)

    @asynccontextmanager
    async def lookout(
        self, sagas: Sequence[type[Saga]], services: Sequence[Service]
    ) -> AsyncIterator[Lookout]:
        """One for all that is asked, which remembers for a while what is usual."""
        async with self.table() as table:
            async with self._opening:
                if self._lookout is None:
                    opening = open_lookout(
                        self.settings, table, sagas, services, client_id=CLIENT_ID
                    )
                    self._lookout = await self._stack.enter_async_context(opening)
            yield self._lookout

    async def working(self, sagas: Sequence[type[Saga]], services: Sequence[Service]) -> Working:
        """Who works for these."""
        if self._registry is None:
            self._registry = worker_registry(self.settings, timeout_s=TIMEOUT_S)
            self._stack.push_async_callback(self._registry.stop)
        topics = Topics(self.settings.namespace)
        read = topics_read(sagas, services, topics)
        try:
            alone = await standings(read, self._registry, None, topics)
        except TableUnavailable as error:
            raise Away("Redis", redacted(self.settings.redis), "SAGAS_REDIS", error) from error
        try:
            admin = broker_admin(self.settings, client_id=CLIENT_ID, timeout_s=TIMEOUT_S)
            async with self._kafka(), asyncio.timeout(TIMEOUT_S):
                return Working(await standings(read, self._registry, admin, topics))
        except Away as error:
            return Working(alone, str(error))

    @asynccontextmanager
    async def operator(self, table: SagaTable) -> AsyncIterator[Operator]:
        """Connected to Kafka for as long as it is used."""
        opening = saga_operator(self.settings, table, client_id=CLIENT_ID, timeout_s=TIMEOUT_S)
        async with self._kafka(), opening as operator:
            yield operator

    @asynccontextmanager
    async def boxes(self, services: Sequence[str], *, writes: bool) -> AsyncIterator[Boxes]:
        """Connected to Kafka for as long as they are used."""
        settings = self.settings
        opening = dead_letter_boxes(
            settings, services, client_id=CLIENT_ID, timeout_s=TIMEOUT_S, writes=writes
        )
        async with self._kafka(), opening as boxes:
            admin = broker_admin(settings, client_id=CLIENT_ID, timeout_s=TIMEOUT_S)
            there = await admin.describe_topics()
            yield Boxes(
                [box for box in boxes if box.topic in there],
                [box.topic for box in boxes if box.topic not in there],
            )

    @asynccontextmanager
    async def requests(self, sagas: Sequence[str]) -> AsyncIterator[Sequence[Record]]:
        """Read each time they are asked for."""
        topics = Topics(self.settings.namespace)
        async with self._kafka():
            admin = broker_admin(self.settings, client_id=CLIENT_ID, timeout_s=TIMEOUT_S)
            there = await admin.describe_topics()
            partitions = [
                TopicPartition(name, number)
                for name in (topics.control(saga) for saga in sagas)
                if name in there
                for number in range(there[name].partitions)
            ]
            reading = admin.read_last(partitions, offsets=REQUESTS_MAX)
            yield [record async for record in reading] if partitions else []

    @asynccontextmanager
    async def _kafka(self) -> AsyncIterator[None]:
        try:
            yield
        except (BrokerUnavailable, TimeoutError) as error:
            raise Away("Kafka", self.settings.kafka, "SAGAS_KAFKA", error) from error

    async def close(self) -> None:
        """Close the table."""
        await self._stack.aclose()
