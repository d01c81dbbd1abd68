"""The saga table on memory and on Redis, for one suite."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from sagas.adapters.memory.table import MemorySagaTable
from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.adapters.redis.access import acl_rules
from sagas.ports import BUCKETS
from sagas.restoring import RestorableTable


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


SAGAS = ("OrderFulfilment", "Another", "Other", "S", "A", "AB", "B", "C", "Sag\u00e1-{1} *")
"""The names of the sagas in these tests."""


async def made_ready(table: RestorableTable, sagas: Iterable[str] = SAGAS) -> None:
    """What the first worker does with a table that nobody has used yet."""
    for saga in sagas:
        await table.begin_rebuild(saga, range(BUCKETS), "first")
        assert await table.finish_rebuild(saga, range(BUCKETS), "first", 1)


@contextmanager
def user_of_sagas(redis_url: str, namespace: str, sagas: Iterable[str]) -> Iterator[str]:
    """The URL of a user who may do what a service with these sagas needs, and nothing else."""
    parts = urlsplit(redis_url)
    place = parts.netloc.rpartition("@")[2]
    with Redis.from_url(redis_url) as admin:
        user = ("ACL", "SETUSER", namespace, "reset", "on", ">secret")
        admin.execute_command(*user, *acl_rules(namespace, sagas))
        yield urlunsplit(parts._replace(netloc=f"{namespace}:secret@{place}"))
        admin.execute_command("ACL", "DELUSER", namespace)


@pytest.fixture
def user_settings(redis_url: str, namespace: str) -> Iterator[RedisTableSettings]:
    with user_of_sagas(redis_url, namespace, SAGAS) as url:
        yield RedisTableSettings(url=SecretStr(url), namespace=namespace)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis", marks=pytest.mark.real),
        pytest.param("redis-user", marks=pytest.mark.real),
    ]
)
async def table(request: pytest.FixtureRequest) -> AsyncIterator[RestorableTable]:
    """A table that is ready, under generation 1."""
    if request.param == "memory":
        memory = MemorySagaTable()
        await memory.start()
        yield memory
        await memory.stop()
        return
    # `settings` cleans up after itself, so it is asked for only where there is a server.
    asked = "settings" if request.param == "redis" else "user_settings"
    redis = RedisSagaTable(request.getfixturevalue(asked))
    await redis.start()
    await made_ready(redis)
    yield redis
    await redis.stop()
