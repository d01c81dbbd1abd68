"""The register of workers on memory and on Redis, for one suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from sagas.adapters.clock import SystemClock
from sagas.adapters.memory.workers import MemoryWorkerRegistry
from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.adapters.redis.workers import RedisWorkerRegistry
from sagas.core.lifecycle import WorkerState
from sagas.ports import TableUnavailable
from sagas.ports.workers import ErrorSeen, WorkerRegistry, WorkerReport
from tests.contract.table.conftest import user_of_sagas

LONG_MS = 60_000
DEADLINE_S = 30


def report(id_: str, service: str = "inventory", *, started_at_ms: int = 1_000) -> WorkerReport:
    return WorkerReport(
        id=id_,
        service=service,
        version="1.4.0",
        tags=("blue", "zone=a"),
        host="näme",
        pid=17,
        started_at_ms=started_at_ms,
        seen_at_ms=2_000,
        state=WorkerState.RUNNING,
        health="accepting",
        partitions={"sagas.orders.events": (0, 2), "sagas.shop.control": ()},
        in_flight=3,
        last_error=ErrorSeen(at_ms=1_500, words="OSError: no line \u2028 \x1b[31m"),
    )


@pytest.fixture
def namespace() -> str:
    return f"test-{uuid4().hex}"


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis", marks=pytest.mark.real),
        pytest.param("redis-user", marks=pytest.mark.real),
    ]
)
async def registry(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[WorkerRegistry]:
    if request.param == "memory":
        yield MemoryWorkerRegistry(SystemClock())
        return
    url = request.getfixturevalue("redis_url")
    with ExitStack() as stack:
        user = url
        if request.param == "redis-user":
            user = stack.enter_context(user_of_sagas(url, namespace, ["a"]))
        made = RedisWorkerRegistry(RedisTableSettings(url=SecretStr(user), namespace=namespace))
        yield made
        await made.stop()
    keys = Keys(namespace)
    with Redis.from_url(url) as client:
        client.unlink(keys.workers, *(keys.worker(id_) for id_ in ("a", "b", "c", "odd")))


async def until_gone(registry: WorkerRegistry, id_: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while id_ in {one.id for one in await registry.workers()}:  # noqa: ASYNC110 - time does it
            await asyncio.sleep(0)


async def test_nobody_is_there_at_first(registry: WorkerRegistry) -> None:
    assert list(await registry.workers()) == []
    await registry.withdraw("a")


async def test_what_is_announced_is_told_as_it_was(registry: WorkerRegistry) -> None:
    await registry.announce(report("a"), ttl_ms=LONG_MS)
    assert list(await registry.workers()) == [report("a")]


async def test_many_of_one_process_speak_at_once(registry: WorkerRegistry) -> None:
    names = [f"w{number}" for number in range(20)]
    await asyncio.gather(*(registry.announce(report(name), ttl_ms=LONG_MS) for name in names))
    assert sorted(one.id for one in await registry.workers()) == sorted(names)
    await asyncio.gather(*map(registry.withdraw, names))
    assert list(await registry.workers()) == []


async def test_a_later_report_takes_the_place_of_an_earlier_one(registry: WorkerRegistry) -> None:
    await registry.announce(report("a"), ttl_ms=LONG_MS)
    stopping = report("a").model_copy(update={"state": WorkerState.STOPPING, "seen_at_ms": 3_000})
    await registry.announce(stopping, ttl_ms=LONG_MS)
    await registry.announce(stopping, ttl_ms=LONG_MS)
    assert list(await registry.workers()) == [stopping]


async def test_they_are_told_by_service_and_start(registry: WorkerRegistry) -> None:
    await registry.announce(report("a", "payments"), ttl_ms=LONG_MS)
    await registry.announce(report("b", started_at_ms=9_000), ttl_ms=LONG_MS)
    await registry.announce(report("c", started_at_ms=8_000), ttl_ms=LONG_MS)
    assert [one.id for one in await registry.workers()] == ["c", "b", "a"]


async def test_who_is_withdrawn_is_gone(registry: WorkerRegistry) -> None:
    await registry.announce(report("a"), ttl_ms=LONG_MS)
    await registry.announce(report("b"), ttl_ms=LONG_MS)
    await registry.withdraw("a")
    await registry.withdraw("a")
    assert [one.id for one in await registry.workers()] == ["b"]


async def test_who_says_nothing_more_is_forgotten(registry: WorkerRegistry) -> None:
    await registry.announce(report("a"), ttl_ms=50)
    await registry.announce(report("b"), ttl_ms=LONG_MS)
    await until_gone(registry, "a")
    assert [one.id for one in await registry.workers()] == ["b"]


async def test_every_beat_counts_anew(registry: WorkerRegistry) -> None:
    await registry.announce(report("a"), ttl_ms=50)
    await registry.announce(report("a"), ttl_ms=LONG_MS)
    await registry.announce(report("b"), ttl_ms=50)
    await until_gone(registry, "b")
    assert [one.id for one in await registry.workers()] == ["a"]


@pytest.mark.real
async def test_nothing_stays_of_who_has_crashed(redis_url: str, namespace: str) -> None:
    """Whoever looks strikes out the ids of those whose report has expired."""
    registry = RedisWorkerRegistry(
        RedisTableSettings(url=SecretStr(redis_url), namespace=namespace)
    )
    await registry.announce(report("a"), ttl_ms=50)
    await until_gone(registry, "a")
    await registry.stop()
    with Redis.from_url(redis_url) as client:
        assert list(client.scan_iter(f"{namespace}:*", count=10_000)) == []


@pytest.mark.real
async def test_a_report_of_another_version_is_left_out(redis_url: str, namespace: str) -> None:
    registry = RedisWorkerRegistry(
        RedisTableSettings(url=SecretStr(redis_url), namespace=namespace)
    )
    keys = Keys(namespace)
    await registry.announce(report("a"), ttl_ms=LONG_MS)
    more = report("b").model_dump_json()[:-1] + ', "humour": "good"}'
    with Redis.from_url(redis_url) as client:
        client.set(keys.worker("odd"), b'{"state": "flying"}')
        client.set(keys.worker("b"), more)
        client.zadd(keys.workers, {"odd": 1, "b": 2})
        assert [one.id for one in await registry.workers()] == ["a", "b"]
        client.unlink(keys.workers, *map(keys.worker, ("a", "b", "odd")))
    await registry.stop()


async def test_a_server_that_is_away_is_told_so() -> None:
    settings = RedisTableSettings(url=SecretStr("redis://:secret@127.0.0.1:1"), timeout_ms=500)
    registry = RedisWorkerRegistry(settings)
    with pytest.raises(TableUnavailable) as raised:
        await registry.workers()
    assert "127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)
    await registry.stop()
