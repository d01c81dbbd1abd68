"""Assembles runtime, adapters and settings: what the command line, the services and the tests import.

Owns the choice of adapters. Reads the environment only where ``SagaSettings`` is constructed, in ``main``;
connects only inside the context managers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from pydantic import SecretStr

from sagas.adapters.clock import RandomIds, SystemClock
from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.adapters.memory.workers import MemoryWorkerRegistry
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.adapters.redis.table import RedisSagaTable
from sagas.core.errors import SettingsError
from sagas.core.events import FRAMEWORK_PUBLISHER
from sagas.core.saga import Saga
from sagas.limits import memory_bound, worker_settings
from sagas.ports import Broker, BrokerAdmin, NewTopic, Outbox, SagaTable, TopicDescription
from sagas.restoring import ListedTable
from sagas.runtime.assembly import Platform, ServiceRunner
from sagas.runtime.client import SagaClient
from sagas.runtime.dead_letter_box import DeadLetterBox
from sagas.runtime.operator import Operator
from sagas.runtime.patience import Patience
from sagas.runtime.registration import Register
from sagas.runtime.views import SagaView
from sagas.runtime.worker import WorkerSettings
from sagas.service import Lifespan, Service
from sagas.settings import SagaSettings
from sagas.watching import register_of
from sagas.wire.topics import RETRY_TIERS_MS, Topics

__all__ = [
    "Platform",
    "SagaClient",
    "SagaSettings",
    "SagaView",
    "TopicsMissing",
    "broker_admin",
    "client_of",
    "dead_letter_boxes",
    "embedded_platform",
    "ensure_topics",
    "hasty_broker",
    "real_platform",
    "run_services",
    "saga_client",
    "saga_operator",
    "saga_table",
    "topics_of",
]


class TopicsMissing(SettingsError):
    """Workers can not start: topics that they need do not exist."""


@asynccontextmanager
async def real_platform(settings: SagaSettings, *, client_id: str) -> AsyncIterator[Platform]:
    """Kafka and Redis, connected; waits for a server that is away, logging it.

    Raises SettingsError for a server whose settings may lose data.
    """
    clock = SystemClock()
    patience = Patience(clock, pause_s=0.5)
    broker = KafkaBroker(settings.kafka, client_id=client_id, settings=_usual(settings))
    table = _redis_table(settings)
    register = register_of(settings)
    try:
        await patience.insist(table.start)
        await patience.insist(broker.start)
        yield Platform(
            topics=Topics(settings.namespace),
            broker=broker,
            table=table,
            clock=clock,
            ids=RandomIds(),
            settings=worker_settings(settings),
            memory=memory_bound(settings),
            reader=broker_admin(settings, client_id=f"{client_id}-rebuild"),
            listing=table.listing,
            keep_ended_ms=settings.keep_ended_ms,
            register=register,
        )
    finally:
        await register.registry.stop()
        await broker.stop()
        await table.stop()


@asynccontextmanager
async def saga_table(settings: SagaSettings, *, timeout_s: float) -> AsyncIterator[ListedTable]:
    """The saga table alone, connected, for those who only look.

    Does not wait for a server that is away. Raises TableUnavailable once a call has taken
    ``timeout_s``, and SettingsError as above.
    """
    table = _redis_table(settings, timeout_ms=max(1, round(timeout_s * 1000)))
    try:
        await table.start()
        yield table
    finally:
        await table.stop()


def _redis_table(settings: SagaSettings, **given: int) -> RedisSagaTable:
    return RedisSagaTable(
        RedisTableSettings(
            url=SecretStr(settings.redis),
            namespace=settings.namespace,
            durability=settings.durability,
            **given,
        )
    )


@asynccontextmanager
async def saga_operator(
    settings: SagaSettings, table: SagaTable, *, client_id: str, timeout_s: float
) -> AsyncIterator[Operator]:
    """Who asks something of sagas on behalf of people, connected to Kafka.

    Does not wait for a server that is away: raises BrokerUnavailable, and ``ask`` does, once a call has
    taken ``timeout_s``.
    """
    async with hasty_broker(settings, client_id=client_id, timeout_s=timeout_s) as broker:
        yield Operator(
            topics=Topics(settings.namespace),
            broker=broker,
            table=table,
            clock=SystemClock(),
            ids=RandomIds(),
        )


@asynccontextmanager
async def hasty_broker(
    settings: SagaSettings, *, client_id: str, timeout_s: float
) -> AsyncIterator[Broker]:
    """Kafka for a command: raises BrokerUnavailable, and calls do, after ``timeout_s``."""
    broker = KafkaBroker(settings.kafka, client_id=client_id, settings=_hasty(settings, timeout_s))
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()


@asynccontextmanager
async def saga_client(
    settings: SagaSettings,
    sagas: Iterable[type[Saga]],
    table: SagaTable,
    *,
    client_id: str,
    timeout_s: float,
) -> AsyncIterator[SagaClient]:
    """A client for people at a terminal, connected to Kafka.

    Does not wait for a server that is away when it connects: raises BrokerUnavailable once that has taken
    ``timeout_s``.
    """
    broker = KafkaBroker(settings.kafka, client_id=client_id, settings=_hasty(settings, timeout_s))
    try:
        await broker.start()
        yield SagaClient(
            sagas,
            topics=Topics(settings.namespace),
            broker=broker,
            table=table,
            clock=SystemClock(),
            reader=broker_admin(settings, client_id=client_id, timeout_s=timeout_s),
        )
    finally:
        await broker.stop()


@asynccontextmanager
async def dead_letter_boxes(
    settings: SagaSettings,
    services: Iterable[str],
    *,
    client_id: str,
    timeout_s: float,
    writes: bool,
) -> AsyncIterator[Sequence[DeadLetterBox]]:
    """The dead letters of these services; what is only looked at needs no ``writes``.

    Does not wait for a server that is away: raises BrokerUnavailable, as the boxes do.
    """
    broker = KafkaBroker(settings.kafka, client_id=client_id, settings=_hasty(settings, timeout_s))
    admin = broker_admin(settings, client_id=client_id, timeout_s=timeout_s)
    topics, clock = Topics(settings.namespace), SystemClock()
    try:
        if writes:
            await broker.start()
        yield [
            DeadLetterBox(service, topics=topics, broker=broker, admin=admin, clock=clock)
            for service in services
        ]
    finally:
        await broker.stop()


def _usual(settings: SagaSettings) -> KafkaSettings:
    return KafkaSettings(security=settings.kafka_security)


def _hasty(settings: SagaSettings, timeout_s: float) -> KafkaSettings:
    usual = _usual(settings)
    limit_ms = max(1, min(round(timeout_s * 1000), usual.request_timeout_ms))
    return KafkaSettings(
        security=usual.security,
        connect_timeout_ms=limit_ms,
        request_timeout_ms=limit_ms,
        stop_timeout_ms=limit_ms,
    )


def broker_admin(
    settings: SagaSettings, *, client_id: str, timeout_s: float | None = None
) -> KafkaAdmin:
    """What looks at Kafka's topics, reads and creates them; connects for each call."""
    limits = _usual(settings) if timeout_s is None else _hasty(settings, timeout_s)
    return KafkaAdmin(settings.kafka, client_id=client_id, settings=limits)


async def ensure_topics(
    wanted: Sequence[NewTopic], admin: BrokerAdmin, *, create: bool
) -> Sequence[str]:
    """See to it that the topics are there before workers start; returns those that were created.

    Waits for a Kafka that is away, logging it. Without ``create``, raises TopicsMissing that names
    the missing ones. Safe to repeat, and by several processes at once.
    """
    patience = Patience(SystemClock(), pause_s=0.5)
    there: Mapping[str, TopicDescription] = await patience.insist(admin.describe_topics)
    missing = [topic for topic in wanted if topic.name not in there]
    if missing and not create:
        names = ", ".join(topic.name for topic in missing)
        raise TopicsMissing(
            f"{len(missing)} of {len(wanted)} topics are missing on Kafka: {names}. Create them "
            "with `sagas topics apply`, or start with --create-topics."
        )
    if missing:
        await patience.insist(lambda: admin.create_topics(missing))
    return [topic.name for topic in missing]


@asynccontextmanager
async def embedded_platform(namespace: str = "sagas") -> AsyncIterator[Platform]:
    """Everything in this process's memory: nothing to install, nothing outlives the process."""
    clock, table = SystemClock(), MemorySagaTable()
    broker = MemoryBroker(clock, auto_create=True)
    await broker.start()
    try:
        yield Platform(
            topics=Topics(namespace),
            broker=broker,
            table=table,
            listing=table.listing,
            clock=clock,
            ids=RandomIds(),
            settings=WorkerSettings(commit_interval_s=0.0),
            register=Register(registry=MemoryWorkerRegistry(clock)),
        )
    finally:
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
        reader=platform.reader,
        telemetry=platform.telemetry,
    )


async def run_services(
    services: Sequence[Service],
    platform: Platform,
    *,
    stop: asyncio.Event,
    resources: Mapping[str, Lifespan] | None = None,
    on_created: Callable[[Sequence[ServiceRunner]], None] = lambda _: None,
    on_running: Callable[[], None] = lambda: None,
) -> None:
    """Run services in this process until ``stop`` is set, then drain them.

    ``resources`` replaces the lifespan of a service by name. ``on_created`` gets the runners before
    they start, ``on_running`` is called once all have joined their groups. The first service that
    fails stops the others, and its error is raised.
    """
    replaced = resources or {}
    runners = [
        ServiceRunner(service, platform, resources=replaced.get(service.name))
        for service in services
    ]
    on_created(runners)
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

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(stop_all())
            for runner in runners:
                group.create_task(run(runner))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed.exceptions[0].__cause__


def topics_of(
    sagas: Iterable[type[Saga]], services: Iterable[Service], settings: SagaSettings
) -> list[NewTopic]:
    """Every topic that the sagas and services need: events and dead letters per service, its retry topics
    if it takes part in a saga, control per saga, of those too whose ends are observed only.
    """
    topics = Topics(settings.namespace)
    participants = dict.fromkeys(service for saga in sagas for service in saga.definition.services)
    names = dict.fromkeys([*participants, *(service.name for service in services)])
    observed = (
        emitter
        for service in services
        for observer in service.observers
        for emitter in observer.emitters
        if emitter != FRAMEWORK_PUBLISHER
    )
    ended = (
        saga
        for service in services
        for observer in service.observers
        for saga in sorted(observer.ended)
    )
    cancelling = (saga.cancelled_by.publisher() for saga in sagas if saga.cancelled_by is not None)
    wanted = [
        *(topics.events(name) for name in dict.fromkeys((*names, *observed, *cancelling))),
        *(topics.dead_letters(name) for name in names),
        *(
            topics.control(name)
            for name in dict.fromkeys((*(s.definition.saga for s in sagas), *ended))
        ),
    ]
    return [
        *(_new_topic(name, settings) for name in wanted),
        *(
            _new_topic(topics.retry(name, delay_ms), settings, retention_ms=_RETRY_RETENTION_MS)
            for name in participants
            for delay_ms in RETRY_TIERS_MS
        ),
    ]


_RETRY_RETENTION_MS = 7 * 24 * 3_600_000
"""Longer than any delay by the time that a service may be down: what expires there is only woken by a
timer, and by none where the saga table is lost as well.
"""


def _new_topic(name: str, settings: SagaSettings, *, retention_ms: int | None = None) -> NewTopic:
    return NewTopic(
        name=name,
        partitions=settings.partitions,
        replication_factor=settings.replication_factor,
        retention_ms=retention_ms,
    )
