"""Replies that are taken from a connection's parser are those that redis-py would have given."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis._parsers import _AsyncHiredisParser, _AsyncRESP3Parser
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from sagas.adapters.redis.batches import Batches

pytestmark = pytest.mark.real


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Any]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture(params=[_AsyncHiredisParser, _AsyncRESP3Parser])
async def batches(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Batches]:
    pool = BlockingConnectionPool.from_url(
        redis_url,
        max_connections=1,
        timeout=5,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        parser_class=request.param,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    batches = Batches(pool, in_flight_max=1, batch_max=100, timeout_s=5, attempts=3)
    yield batches
    await batches.stop()


async def test_each_gets_its_own_reply_of_whatever_type(batches: Batches, namespace: str) -> None:
    key = f"{namespace}:hash"
    commands: list[tuple[str, ...]] = [
        ("HSET", key, "a", "1", "b", "2"),
        ("HMGET", key, "a", "none"),
        ("EVALSHA", "0" * 40, "0"),
        ("HGETALL", key),
        ("GET", key),
        ("HGET", key, "none"),
        ("ZADD", f"{key}:z", "1.5", "m"),
        ("ZSCORE", f"{key}:z", "m"),
        ("HGET", key, "b"),
        ("ECHO", "x" * 200_000),
        ("PING",),
    ]
    for _ in range(2):
        got = await asyncio.gather(
            *(batches.call(*one) for one in commands), return_exceptions=True
        )
        assert got[1] == [b"1", None]
        assert isinstance(got[2], NoScriptError)
        assert got[3] == {b"a": b"1", b"b": b"2"}
        assert isinstance(got[4], ResponseError)
        assert got[5] is None
        assert got[7:] == [1.5, b"2", b"x" * 200_000, b"PONG"]


async def test_what_the_server_pushes_is_nobodys_reply(
    batches: Batches, client: Any, namespace: str
) -> None:
    keys = [f"{namespace}:{n}" for n in range(3)]
    await batches.call("CLIENT", "TRACKING", "ON")
    for _ in range(3):
        read = [batches.call("GET", key) for key in keys]
        wrote = [batches.call("SET", key, key) for key in keys]
        read += [batches.call("GET", key) for key in keys]
        await asyncio.gather(*read, *wrote)
        assert [future.result() for future in read[3:]] == [key.encode() for key in keys]
        await client.set(keys[0], keys[0])  # pushed to a connection that lies idle
    assert await batches.call("GET", keys[0]) == keys[0].encode()


async def test_a_connection_that_the_server_has_closed_is_replaced(
    batches: Batches, client: Any
) -> None:
    for _ in range(3):
        connection_id = await batches.call("CLIENT", "ID")
        await client.execute_command("CLIENT", "KILL", "ID", connection_id)
        assert await batches.call("CLIENT", "ID") != connection_id
        assert await batches.call("PING") == b"PONG"


async def test_a_good_connection_is_used_again(batches: Batches) -> None:
    ids = [await batches.call("CLIENT", "ID") for _ in range(5)]
    assert len(set(ids)) == 1


async def test_a_server_that_is_loading_is_a_lost_connection(
    batches: Batches, client: Any, namespace: str
) -> None:
    """What redis-py takes for an error of the connection comes as a reply, among others."""
    script = "return redis.error_reply('LOADING the dataset')"
    calls = [
        batches.call("INCR", f"{namespace}:before"),
        batches.call("EVAL", script, 0),
        batches.call("INCR", f"{namespace}:after"),
    ]
    got = await asyncio.gather(*calls, return_exceptions=True)
    assert got[0] == 1
    assert isinstance(got[1], RedisConnectionError)
    assert isinstance(got[2], RedisConnectionError)
    assert int(await client.get(f"{namespace}:after")) == 3, "attempts, each of which was done"
    assert await batches.call("PING") == b"PONG"


async def test_what_was_at_hand_is_closed_at_the_end(redis_url: str) -> None:
    pool = BlockingConnectionPool.from_url(redis_url, max_connections=3)
    batches = Batches(pool, in_flight_max=3, batch_max=1, timeout_s=5, attempts=3)
    await asyncio.gather(*(batches.call("PING") for _ in range(9)))
    made = [*pool._in_use_connections, *pool._available_connections]
    assert [one.is_connected for one in made] == [True] * 3
    await batches.stop()
    assert [one.is_connected for one in made] == [False] * 3
