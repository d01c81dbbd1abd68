"""The instances that a benchmark puts into the table are there, as the table itself sees them."""

import secrets
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from benchmarks.framework.declaration import OrderToNotification
from benchmarks.live import fill
from benchmarks.setup import FRAMEWORK, PIPELINE, Servers, Setup
from benchmarks.systems import Running
from sagas.adapters.redis import RedisSagaTable, RedisTableSettings

LIVE = 30


@pytest.mark.parametrize("system", [FRAMEWORK, PIPELINE])
async def test_so_many_live_instances_are_in_the_table(
    system: str, redis_url: str, tmp_path: Path
) -> None:
    namespace = f"bench-test-{secrets.token_hex(4)}"
    servers = Servers(kafka="", redis=redis_url, postgresql="", pids={})
    await fill(Running(Setup(system=system, live=LIVE), servers, namespace, tmp_path))
    async with Redis.from_url(redis_url) as redis:
        keys = [key async for key in redis.scan_iter(f"{namespace}:*live-*", count=1_000)]
        assert len(keys) == LIVE
        if system == FRAMEWORK:
            assert await _running(namespace, redis_url) == LIVE
        left = [key async for key in redis.scan_iter(f"{namespace}:*", count=1_000)]
        await redis.unlink(*left)


async def _running(namespace: str, redis_url: str) -> int:
    table = RedisSagaTable(RedisTableSettings(url=SecretStr(redis_url), namespace=namespace))
    await table.start()
    try:
        counts = await table.count_sagas(OrderToNotification.name, statuses=["RUNNING"])
    finally:
        await table.stop()
    return counts["RUNNING"]
