"""The saga table on memory and on Redis, for one suite."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from pydantic import SecretStr

from sagas.adapters.memory.table import MemorySagaTable
from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.ports import SagaTable


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.real)])
async def table(request: pytest.FixtureRequest) -> AsyncIterator[SagaTable]:
    if request.param == "memory":
        memory = MemorySagaTable()
        await memory.start()
        yield memory
        await memory.stop()
        return
    url: str = request.getfixturevalue("redis_url")
    settings = RedisTableSettings(url=SecretStr(url), namespace=f"test-{uuid4().hex}")
    redis = RedisSagaTable(settings)
    await redis.start()
    yield redis
    await redis.stop()
