"""A user of the saga table may do what its services need: the suite runs as one, too. Here is what it may
not do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import NoPermissionError

from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.adapters.redis.access import acl_rules
from sagas.adapters.redis.keys import Keys
from sagas.ports import TableUnavailable
from tests.contract.table.conftest import user_of_sagas


@pytest.fixture
def user_url(redis_url: str, namespace: str) -> Iterator[str]:
    """Of a user who takes part in one saga, ``Mine``."""
    with user_of_sagas(redis_url, namespace, ["Mine"]) as url:
        yield url


@pytest.fixture
def user(user_url: str) -> Iterator[Redis]:
    with Redis.from_url(user_url) as client:
        yield client


@pytest.fixture
async def table(user_url: str, namespace: str) -> AsyncIterator[RedisSagaTable]:
    table = RedisSagaTable(RedisTableSettings(url=SecretStr(user_url), namespace=namespace))
    await table.start()
    yield table
    await table.stop()


def test_own_rows_are_open(user: Redis, namespace: str) -> None:
    row, index = Keys(namespace).instance("Mine", "o-1")
    user.hset(row, "v", "1")
    assert user.hget(row, "v") == b"1"
    user.zadd(f"{index}RUNNING", {"o-1": 1})


@pytest.mark.parametrize(
    "key",
    [
        "{ns}:{{b017}}:saga:Other:o-1",
        "{ns}:{{b017}}:saga:Mine2:o-1",
        "{ns}:{{b017}}:saga:Other:}}:saga:Mine:o-1",
        "{ns}:{{b0171}}:saga:Mine:o-1",
        "{ns}x:{{b017}}:saga:Mine:o-1",
        "x{ns}:{{b017}}:saga:Mine:o-1",
        "{ns}:{{b000}}:lease:Other",
        "{ns}:anything",
        "anything",
    ],
)
def test_keys_of_others_are_closed(user: Redis, namespace: str, key: str) -> None:
    named = key.format(ns=namespace)
    with pytest.raises(NoPermissionError):
        user.hget(named, "v")
    with pytest.raises(NoPermissionError):
        user.hset(named, "v", "1")
    with pytest.raises(NoPermissionError):
        user.eval("return redis.call('HGET', KEYS[1], 'v')", 1, named)


def test_a_script_can_not_reach_further(user: Redis, namespace: str) -> None:
    """A key that a script makes up is checked as well."""
    hidden = f"{namespace}:{{b000}}:saga:Other:o-1"
    with pytest.raises(Exception, match=r"(?i)permission|can't"):
        user.eval("return redis.call('HSET', ARGV[1], 'v', '1')", 0, hidden)


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("ACL", "SETUSER", "me"),
        ("SCRIPT", "FLUSH"),
        ("CLIENT", "LIST"),
        ("SHUTDOWN",),
        ("MONITOR",),
        ("REPLICAOF", "NO", "ONE"),
        ("SUBSCRIBE", "x"),
        ("PUBLISH", "x", "y"),
    ],
    ids=" ".join,
)
def test_other_commands_are_closed(user: Redis, command: tuple[str, ...]) -> None:
    with pytest.raises(NoPermissionError):
        user.execute_command(*command)  # type: ignore[no-untyped-call]


async def test_the_table_of_another_saga_is_not_available(table: RedisSagaTable) -> None:
    """It says so in words, and naming the user's lack of permission."""
    with pytest.raises(TableUnavailable, match=r"(?i)no permissions"):
        await table.load("Other", "o-1", events=True)


async def test_fsync_is_allowed_where_it_is_asked_for() -> None:
    assert "+waitaof" not in acl_rules("ns", ["Mine"])
    assert "+waitaof" in acl_rules("ns", ["Mine"], "fsync")


def test_names_are_escaped() -> None:
    name = f"a*?[b]\\ {uuid4().hex[:4]}"
    (pattern,) = [rule for rule in acl_rules("ns", [name]) if ":saga:" in rule]
    assert pattern.startswith(r"~ns:{b[0-9][0-9][0-9]}:saga:a\*\?\[b\]\\?")
