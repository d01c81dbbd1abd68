"""A table on Redis that somebody else has written to: what is damaged is said, and costs nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.core.errors import ContractViolation
from sagas.ports import BUCKETS, RowChange, Stamp, Timer, bucket_of
from tests.contract.table.conftest import made_ready

pytestmark = pytest.mark.real


@pytest.fixture
async def table(settings: RedisTableSettings) -> AsyncIterator[RedisSagaTable]:
    table = RedisSagaTable(settings)
    await table.start()
    await made_ready(table)
    yield table
    await table.stop()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Any]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


def change(saga_id: str) -> RowChange:
    return RowChange(
        saga="S",
        saga_id=saga_id,
        expected=None,
        stamp=Stamp(1, 1),
        status="RUNNING",
        state=b"state",
        events={"start": b"event"},
        at_ms=1,
        token=saga_id,
        timers_set={"ship": 5},
    )


def row_of(table: RedisSagaTable, saga_id: str) -> str:
    return table._keys.instance("S", saga_id)[0]


@pytest.mark.parametrize(
    "damage",
    [
        {"s": "one:two RUNNING  token\nstate"},
        {"s": ""},
        {"s": "1 RUNNING  token\nstate"},
        {"s": "-1:1 RUNNING  token\nstate"},
        {"s": b"\xff:1 RUNNING  token\nstate"},
        {"s": "1:" + "9" * 5_000 + " RUNNING  token\nstate"},
        {"s": "1:1 RUNNING token\nstate"},
        {"s": "1:1 RUNNING  token state"},
    ],
)
@pytest.mark.parametrize("events", [True, False])
async def test_a_stamp_that_is_none(
    table: RedisSagaTable, client: Any, damage: dict[str, Any], *, events: bool
) -> None:
    await table.store(change("o"))
    await client.hset(row_of(table, "o"), mapping=damage)
    with pytest.raises(ContractViolation, match="The row of S 'o' in Redis is damaged"):
        await table.load("S", "o", events=events)
    written = await client.hget(row_of(table, "o"), "s")
    await table.store(change("o")._replace(token="another"))
    assert await client.hget(row_of(table, "o"), "s") == written


async def test_what_is_left_without_a_state_is_no_row(table: RedisSagaTable, client: Any) -> None:
    """Taken for one, its start would meet a conflict, load again, and meet a conflict for ever."""
    await table.store(change("o"))
    await client.hdel(row_of(table, "o"), "s")
    assert await table.load("S", "o", events=True) is None
    assert await table.store(change("o"))
    assert await table.load("S", "o") is not None


async def test_a_key_of_another_kind_is_not_waited_for(table: RedisSagaTable, client: Any) -> None:
    await client.set(row_of(table, "o"), "text")
    with pytest.raises(ContractViolation, match="WRONGTYPE"):
        await table.load("S", "o")
    with pytest.raises(ContractViolation, match="WRONGTYPE"):
        await table.store(change("o"))
    await table.store(change("another"))
    assert await table.load("S", "another") is not None


async def test_timers_and_indexes_with_what_is_not_theirs(
    table: RedisSagaTable, client: Any
) -> None:
    await table.store(change("o"))
    bucket = bucket_of("o")
    odd = {b"\xff\xfe": 1, b"": 2, b"alone": 3, b"S\x1f\xff\x1fship": 4, b"S\x1fo\x1fnever": "inf"}
    await client.zadd(table._keys.timers[bucket], odd)
    await client.zadd(table._keys.timers[bucket], {b"S\x1fo\x1falways": "-inf"})
    await client.zadd(table._keys.instance("S", "o")[1] + "RUNNING", {b"\xff": "inf"})
    due = await table.due_timers(buckets=range(BUCKETS), now_ms=10, limit=100)
    assert Timer("S", "o", "ship", 5) in due
    assert {(timer.saga, timer.saga_id) for timer in due} == {("S", "o")}
    assert Timer("S", "o", "ship", 5) in await table.list_timers("S", limit=100)
    listed = await table.list_sagas("S", statuses=["RUNNING"], limit=10)
    assert "o" in [one.saga_id for one in listed]
