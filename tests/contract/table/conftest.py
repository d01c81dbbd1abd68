"""The saga table on memory and on Redis, for one suite."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from sagas.adapters.memory.table import MemorySagaTable
from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.ports import SagaTable


@pytest.fixture
def namespace(redis_url: str) -> Iterator[str]:
    """Keys of this test alone, on a server that others use too; they are gone afterwards."""
    name = f"test-{uuid4().hex}"
    yield name
    with Redis.from_url(redis_url) as client:
        keys = list(client.scan_iter(f"{name}:*", count=1_000))
        for first in range(0, len(keys), 1_000):
            client.unlink(*keys[first : first + 1_000])


@pytest.fixture
def settings(redis_url: str, namespace: str) -> RedisTableSettings:
    return RedisTableSettings(url=SecretStr(redis_url), namespace=namespace)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.real)])
async def table(request: pytest.FixtureRequest) -> AsyncIterator[SagaTable]:
    if request.param == "memory":
        memory = MemorySagaTable()
        await memory.start()
        yield memory
        await memory.stop()
        return
    # `settings` cleans up after itself, so it is asked for only where there is a server.
    redis = RedisSagaTable(request.getfixturevalue("settings"))
    await redis.start()
    yield redis
    await redis.stop()
