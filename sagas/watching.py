"""Who works, and how far behind the services are: for the command line and the console.

Owns the choice of the register, and which topics count for a service. Reads only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from sagas.adapters.redis.settings import RedisTableSettings
from sagas.adapters.redis.workers import RedisWorkerRegistry
from sagas.core.saga import Saga
from sagas.ports import TopicPartition
from sagas.ports.workers import GroupOffsets, WorkerRegistry, WorkerReport
from sagas.runtime.registration import Identity, Register
from sagas.runtime.subscription import Subscription
from sagas.service import Service
from sagas.settings import SagaSettings
from sagas.wire.topics import RETRY_TIERS_MS, Topics

__all__ = [
    "ServiceLag",
    "ServiceStanding",
    "lags",
    "register_of",
    "standings",
    "topics_read",
    "worker_registry",
]


@dataclass(frozen=True, slots=True)
class ServiceLag:
    """How many records a service has not committed. ``waiting`` of its retry topics are not yet due, or
    have just become so; ``behind`` are all others, ``partitions`` say where those are.
    """

    behind: int
    waiting: int
    partitions: Mapping[TopicPartition, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceStanding:
    """A service, its workers, and its lag; None where that is not known."""

    service: str
    workers: Sequence[WorkerReport]
    lag: ServiceLag | None = None


def worker_registry(
    settings: SagaSettings, *, timeout_s: float | None = None
) -> RedisWorkerRegistry:
    """The register on the server that has the saga table. Connects with its first call; stop it."""
    url = SecretStr(settings.redis)
    usual = RedisTableSettings(url=url, namespace=settings.namespace)
    if timeout_s is not None:
        usual = usual.model_copy(update={"timeout_ms": max(1, round(timeout_s * 1000))})
    return RedisWorkerRegistry(usual)


def register_of(settings: SagaSettings) -> Register:
    """Where the workers of this process sign, and as whom."""
    identity = Identity(version=settings.service_version, tags=settings.tags)
    return Register(registry=worker_registry(settings), identity=identity)


def topics_read(
    sagas: Iterable[type[Saga]], services: Iterable[Service], topics: Topics
) -> Mapping[str, frozenset[str]]:
    """By service, the topics that its group reads, retry topics included.

    Of a service that is known by the sagas' declarations only, what it observes is not known.
    """
    known = {service.name: service for service in services}
    found = {name: Subscription(one, topics).topics for name, one in known.items()}
    sagas = list(sagas)
    for saga in sagas:
        definition = saga.definition
        for name in definition.services:
            if name in known:
                continue
            woken = {topics.of(definition, type_) for type_ in definition.wakes[name]}
            found[name] = found.get(name, frozenset()) | woken | {topics.control(definition.saga)}
    taking_part = {name for saga in sagas for name in saga.definition.services}
    taking_part |= {service.name for service in known.values() if service.sagas}
    return {
        name: read | (_retry_topics(name, topics) if name in taking_part else frozenset())
        for name, read in found.items()
    }


async def standings(
    read: Mapping[str, Collection[str]],
    registry: WorkerRegistry,
    offsets: GroupOffsets | None,
    topics: Topics,
) -> Sequence[ServiceStanding]:
    """Every service that is given, or has a worker, by name; without ``offsets`` no lag is looked for.

    Raises TableUnavailable and BrokerUnavailable.
    """
    workers = await registry.workers()
    found = {} if offsets is None else await lags(read, offsets, topics)
    names = sorted({*read, *(worker.service for worker in workers)})
    return [
        ServiceStanding(name, tuple(one for one in workers if one.service == name), found.get(name))
        for name in names
    ]


async def lags(
    read: Mapping[str, Collection[str]], offsets: GroupOffsets, topics: Topics
) -> Mapping[str, ServiceLag]:
    """How far behind these services are, in one question to the broker. Raises BrokerUnavailable."""
    groups = {topics.group(name): names for name, names in read.items()}
    behind = await offsets.behind(groups)
    return {name: _lag(behind[topics.group(name)], _retry_topics(name, topics)) for name in read}


def _lag(found: Mapping[TopicPartition, int], retry: frozenset[str]) -> ServiceLag:
    partitions = {one: count for one, count in found.items() if one.topic not in retry and count}
    waiting = sum(count for one, count in found.items() if one.topic in retry)
    return ServiceLag(sum(partitions.values()), waiting, partitions)


def _retry_topics(service: str, topics: Topics) -> frozenset[str]:
    return frozenset(topics.retry(service, delay_ms) for delay_ms in RETRY_TIERS_MS)
