"""The pipeline by hand keeps its side of the comparison: a step that is handled again changes nothing."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import ResponseError

from benchmarks.pipeline.redis_batches import RedisBatches
from benchmarks.pipeline.worker import LUA


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisBatches]:
    batches = RedisBatches(redis_url, connections=1)
    yield batches
    await batches.stop()


async def step(redis: RedisBatches, row: str, *arguments: bytes) -> Any:
    (reply,) = await redis.run([("EVAL", LUA, 1, row, *arguments)])
    return reply


async def test_a_step_is_recorded_once_and_answers_the_same_again(redis: RedisBatches) -> None:
    row = f"bench-test:{secrets.token_hex(4)}"
    kept = (b"placed", b"order")
    assert await step(redis, row, b"reserve", b"first", b"reserve", b"DECLINED", *kept) == 1
    assert await step(redis, row, b"reserve", b"other", b"other", b"DECLINED") == b"first"
    (values,) = await redis.run([("HMGET", row, "status", "placed")])
    await redis.run([("DEL", row)])
    assert values == [b"reserve", b"order"]


async def test_what_was_turned_back_does_not_go_on(redis: RedisBatches) -> None:
    row = f"bench-test:{secrets.token_hex(4)}"
    assert await step(redis, row, b"authorize", b"no", b"DECLINED", b"DECLINED") == 1
    assert await step(redis, row, b"ship", b"yes", b"ship", b"DECLINED") is None
    assert await step(redis, row, b"release", b"undone", b"release", b"-") == 1
    await redis.run([("DEL", row)])


async def test_an_error_leaves_no_reply_to_the_next_batch(redis: RedisBatches) -> None:
    with pytest.raises(ResponseError):
        await redis.run([("NO-SUCH-COMMAND",), ("ECHO", "left")])
    assert await redis.run([("ECHO", "mine")]) == [b"mine"]
