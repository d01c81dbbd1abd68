"""Assembles runtime, adapters and settings: what the command line, the services and the tests import.

Owns the choice of adapters. Reads the environment only where ``SagaSettings`` is constructed, in ``main``;
connects only inside the context managers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from sagas.adapters.clock import RandomIds, SystemClock
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.adapters.redis.table import RedisSagaTable
from sagas.core.saga import Saga
from sagas.ports import NewTopic, Outbox
from sagas.runtime.assembly import Platform, ServiceRunner
from sagas.runtime.client import SagaClient
from sagas.runtime.patience import Patience
from sagas.runtime.worker import WorkerSettings
from sagas.service import Lifespan, Service
from sagas.wire.topics import Topics

__all__ = [
    "SagaSettings",
    "client_of",
    "embedded_platform",
    "real_platform",
    "run_services",
    "topics_of",
]


class SagaSettings(BaseSettings):
    """Where the servers are. Read from the environment: ``SAGAS_KAFKA``, ``SAGAS_REDIS`` and so on."""

    model_config = SettingsConfigDict(env_prefix="SAGAS_", extra="ignore")

    namespace: str = "sagas"
    kafka: str = "127.0.0.1:9092"
    redis: str = "redis://127.0.0.1:6379/0"
    partitions: int = 4
    replication_factor: int = 1
    log_level: str = "INFO"
    log_format: str = "console"


@asynccontextmanager
async def real_platform(settings: SagaSettings, *, client_id: str) -> AsyncIterator[Platform]:
    """Kafka and Redis, connected; waits for a server that is away, logging it.

    Raises SettingsError for a server whose settings may lose data.
    """
    clock = SystemClock()
    patience = Patience(clock, pause_s=0.5)
    broker = KafkaBroker(settings.kafka, client_id=client_id, settings=KafkaSettings())
    table = RedisSagaTable(
        RedisTableSettings(url=SecretStr(settings.redis), namespace=settings.namespace)
    )
    try:
        await patience.insist(table.start)
        await patience.insist(broker.start)
        yield Platform(
            topics=Topics(settings.namespace),
            broker=broker,
            table=table,
            clock=clock,
            ids=RandomIds(),
        )
    finally:
        await broker.stop()
        await table.stop()


@asynccontextmanager
async def embedded_platform(namespace: str = "sagas") -> AsyncIterator[Platform]:
    """Everything in this process's memory: nothing to install, nothing outlives the process."""
    clock = SystemClock()
    broker = MemoryBroker(clock, auto_create=True)
    await broker.start()
    yield Platform(
        topics=Topics(namespace),
        broker=broker,
        table=MemorySagaTable(),
        clock=clock,
        ids=RandomIds(),
        settings=WorkerSettings(commit_interval_s=0.0),
    )
    await broker.stop()


def client_of(
    platform: Platform, sagas: Iterable[type[Saga]], *, outbox: Outbox | None = None
) -> SagaClient:
    """A client of the platform that knows these sagas."""
    return SagaClient(
        sagas,
        topics=platform.topics,
        broker=platform.broker,
        table=platform.table,
        clock=platform.clock,
        outbox=outbox,
    )


async def run_services(
    services: Sequence[Service],
    platform: Platform,
    *,
    stop: asyncio.Event,
    resources: Mapping[str, Lifespan] | None = None,
    on_running: Callable[[], None] = lambda: None,
) -> None:
    """Run services in this process until ``stop`` is set, then drain them.

    ``resources`` replaces the lifespan of a service by name. ``on_running`` is called once all have
    joined their groups. The first service that fails stops the others, and its error is raised.
    """
    replaced = resources or {}
    runners = [
        ServiceRunner(service, platform, resources=replaced.get(service.name))
        for service in services
    ]
    running: set[str] = set()

    def joined(name: str) -> None:
        running.add(name)
        if len(running) == len(runners):
            on_running()

    async def run(runner: ServiceRunner) -> None:
        try:
            await runner.run(lambda: joined(runner.service.name))
        finally:
            stop.set()

    async def stop_all() -> None:
        await stop.wait()
        for runner in runners:
            runner.stop()

    async with asyncio.TaskGroup() as group:
        group.create_task(stop_all())
        for runner in runners:
            group.create_task(run(runner))


def topics_of(
    sagas: Iterable[type[Saga]], services: Iterable[Service], settings: SagaSettings
) -> list[NewTopic]:
    """Every topic that the sagas and services need: events and dead letters per service, control per
    saga."""
    topics = Topics(settings.namespace)
    names = dict.fromkeys(
        [
            *(service for saga in sagas for service in saga.definition.services),
            *(service.name for service in services),
        ]
    )
    wanted = [
        *(topics.events(name) for name in names),
        *(topics.dead_letters(name) for name in names),
        *(topics.control(saga.definition.saga) for saga in sagas),
    ]
    return [
        NewTopic(
            name=name,
            partitions=settings.partitions,
            replication_factor=settings.replication_factor,
        )
        for name in wanted
    ]
