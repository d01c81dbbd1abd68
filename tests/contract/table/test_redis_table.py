"""What only the table on Redis has: batches, scripts that a server forgets, one slot per call."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.crc import key_slot

from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.adapters.redis.settings import redacted
from sagas.core.errors import ContractViolation
from sagas.ports import BUCKETS, RowChange, Stamp, Timer, bucket_of
from sagas.restoring import TableLost
from tests.contract.table.conftest import made_ready

pytestmark = pytest.mark.real


def change(
    saga_id: str,
    expected: Stamp | None = None,
    *,
    saga: str = "S",
    timers: Mapping[str, int] | None = None,
) -> RowChange:
    return RowChange(
        saga=saga,
        saga_id=saga_id,
        expected=expected,
        stamp=Stamp(1, 1 if expected is None else expected.version + 1),
        status="RUNNING",
        state=b"state",
        events={"start": b"event"},
        at_ms=1,
        token=uuid4().hex,
        timers_set=timers or {},
    )


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


async def test_a_forgotten_script_is_taught_again(table: RedisSagaTable, client: Any) -> None:
    await client.script_flush()
    stored = await asyncio.gather(*(table.store(change(f"o-{n}")) for n in range(50)))
    assert all(stored)
    await table.store(change("o", timers={"ship": 5}))
    await client.script_flush()
    assert await table.postpone_timer(Timer("S", "o", "ship", 5), 6)


async def test_an_error_of_one_command_is_its_own(
    table: RedisSagaTable, client: Any, settings: RedisTableSettings
) -> None:
    await table.store(change("spoiled"))
    [key] = [key async for key in client.scan_iter(f"{settings.namespace}:*:saga:S:spoiled")]
    await client.set(key, "not a hash")
    results = await asyncio.gather(
        table.load("S", "other"),
        table.load("S", "spoiled"),
        table.store(change("fine")),
        return_exceptions=True,
    )
    assert results[0] is None
    assert isinstance(results[1], ContractViolation)
    assert results[2] is True


async def test_a_caller_that_is_cancelled_disturbs_nobody(table: RedisSagaTable) -> None:
    calls = [asyncio.ensure_future(table.store(change(f"o-{n}"))) for n in range(50)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    assert all(await asyncio.gather(*calls[1::2]))
    for call in calls[::2]:
        with suppress(asyncio.CancelledError):
            await call
    assert await table.load("S", "o-1") is not None


async def test_a_lost_reply_is_not_noticed(redis_url: str, namespace: str) -> None:
    """The server did everything; the connection breaks at any place of the replies."""
    calls = 4
    for answered_bytes in range(calls * len(b":1\r\n")):
        async with CuttingProxy(redis_url) as proxy:
            table = RedisSagaTable(
                RedisTableSettings(url=SecretStr(proxy.url), namespace=namespace, connections=1)
            )
            await table.start()
            await made_ready(table)
            proxy.cut_after(answered_bytes)
            ids = [f"o-{answered_bytes}-{n}" for n in range(calls)]
            changes = [change(saga_id, timers={"ship": 5}) for saga_id in ids]
            assert await asyncio.gather(*map(table.store, changes)) == [True] * calls
            assert proxy.cuts == 1
            counts = await table.count_sagas("S", statuses=["RUNNING"])
            assert counts["RUNNING"] == calls * (answered_bytes + 1)
            assert len(await table.list_timers("S", limit=500)) == counts["RUNNING"]
            await table.stop()


class CuttingProxy:
    """Passes everything on to Redis and back, until told to break in the middle of a reply."""

    def __init__(self, redis_url: str) -> None:
        self._target = urlsplit(redis_url)
        self._left: int | None = None
        self._serving: set[asyncio.Future[None]] = set()
        self.cuts = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}{self._target.path}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._serving)

    def cut_after(self, reply_bytes: int) -> None:
        self._left = reply_bytes

    async def _serve(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        self._serving.add(asyncio.ensure_future(self._answer(from_client, to_client)))

    async def _answer(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        host, port = self._target.hostname, self._target.port
        from_redis, to_redis = await asyncio.open_connection(host, port)
        asking = asyncio.ensure_future(pass_on(from_client, to_redis))
        while piece := await from_redis.read(1 << 16):
            if self._left is not None:
                to_client.write(piece[: self._left])
                self._left -= len(piece)
                if self._left < 0:
                    self._left, self.cuts = None, self.cuts + 1
                    break
            else:
                to_client.write(piece)
        asking.cancel()
        for writer in (to_client, to_redis):
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def pass_on(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(1 << 16):
            to.write(piece)
        to.write_eof()


async def test_all_keys_of_an_instance_share_a_slot(
    table: RedisSagaTable, client: Any, settings: RedisTableSettings
) -> None:
    await table.store(change("{o}-1", timers={"ship": 5}))
    tag = f"{{b{bucket_of('{o}-1'):03}}}"
    keys = [key async for key in client.scan_iter(f"{settings.namespace}:{tag}:*")]
    assert len(keys) == 4
    assert len({key_slot(key) for key in keys}) == 1


async def test_a_lost_reply_to_a_postponement_is_not_noticed(
    redis_url: str, namespace: str
) -> None:
    async with CuttingProxy(redis_url) as proxy:
        table = RedisSagaTable(
            RedisTableSettings(url=SecretStr(proxy.url), namespace=namespace, connections=1)
        )
        await table.start()
        await made_ready(table)
        await table.store(change("o", timers={"ship": 5}))
        for answered_bytes in range(len(b":1\r\n")):
            proxy.cut_after(answered_bytes)
            assert await table.postpone_timer(Timer("S", "o", "ship", 5), 100)
        assert proxy.cuts == len(b":1\r\n")
        everywhere = range(BUCKETS)
        assert await table.due_timers(buckets=everywhere, now_ms=99, limit=9) == []
        assert await table.list_timers("S", limit=9) == [Timer("S", "o", "ship", 100)]
        await table.stop()


async def test_a_list_of_timers_looks_past_those_of_other_sagas(table: RedisSagaTable) -> None:
    """All in one bucket, in pages; what stands behind 5,000 earlier ones is not shown."""
    bucket = bucket_of("o")
    others = [f"{n:05}" for n in range(5_000 * BUCKETS) if bucket_of(f"{n:05}") == bucket][:4]
    await table.store(change("o", timers={"first": 0, "later": 3_000, "last": 9_000}))
    for n, other in enumerate(others[:3]):
        timers = {f"t-{m}": 1 + n * 1_000 + m for m in range(1_000)}
        await table.store(change(other, saga="Other", timers=timers))
    shown = [timer.name for timer in await table.list_timers("S", limit=9)]
    assert shown == ["first", "later", "last"]
    for version in range(1, 4):
        expected = None if version == 1 else Stamp(1, version - 1)
        timers = {f"u-{version}-{m}": 4_000 + m for m in range(1_000)}
        await table.store(change(others[3], expected, saga="Other", timers=timers))
    shown = [timer.name for timer in await table.list_timers("S", limit=9)]
    assert shown == ["first", "later"]


@pytest.mark.parametrize("saga", ["a:b", "a\x1fb"])
async def test_a_saga_name_with_a_separator_is_refused(table: RedisSagaTable, saga: str) -> None:
    with pytest.raises(ContractViolation, match="colon"):
        await table.load(saga, "c")


async def test_a_stopped_table_says_so(settings: RedisTableSettings) -> None:
    table = RedisSagaTable(settings)
    await table.start()
    await table.stop()
    await table.stop()
    with pytest.raises(ContractViolation, match="stopped or was never started: the platform"):
        await table.load("S", "o-1")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("rediss://user:p%40ss@host:1/0?password=x", "rediss://user:***@host:1/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize("damaged", ["", "no json", "[1]", "7", '{"ship": 5}'])
async def test_damaged_notes_count_as_none_and_hold_nothing_up(
    table: RedisSagaTable, client: Any, settings: RedisTableSettings, damaged: str
) -> None:
    await table.store(change("o", timers={"ship": 5}))
    [key] = [key async for key in client.scan_iter(f"{settings.namespace}:*:saga:S:o")]
    await client.hset(key, "n", damaged)
    row = await table.load("S", "o")
    assert row is not None
    assert row.notes == {}
    cleared = change("o", Stamp(1, 1))._replace(timers_cleared=["ship"])
    assert await table.store(cleared)
    await client.hset(key, "n", damaged)
    assert await table.annotate("S", "o", "bill", "a note")
    row = await table.load("S", "o")
    assert row is not None
    assert row.notes == {"bill": "a note"}


async def test_what_another_server_has_confirmed_is_lost(
    table: RedisSagaTable, client: Any, settings: RedisTableSettings
) -> None:
    """A server that was restarted, or took over, may lack the last writes; every connection asks."""
    await table.store(change("o"))
    markers = f"{settings.namespace}:{{b{bucket_of('o'):03}}}:markers"
    before = (await client.hget(markers, "S")).decode()
    assert before.startswith("ready 1 ")
    for marked in (before.replace(" 1 ", " 3 ") + "x", "ready 3 other", "rebuilding 3 other token"):
        await client.hset(markers, "S", marked)
        newcomer = RedisSagaTable(settings)
        await newcomer.start()
        lost = [bucket for bucket, one in enumerate(await table.markers("S")) if one is None]
        assert lost == [bucket_of("o")]
        with pytest.raises(TableLost):
            await newcomer.load("S", other_of("o"))
        assert await newcomer.begin_rebuild("S", lost, "a") == 3, "its generation is not forgotten"
        await newcomer.stop()
        newcomer = RedisSagaTable(settings)
        await newcomer.start()
        assert await newcomer.finish_rebuild("S", lost, "a", 4), "the same server is no loss"
        await newcomer.stop()
    assert None not in await table.markers("S")


def other_of(saga_id: str) -> str:
    """Another instance in the same bucket."""
    bucket = bucket_of(saga_id)
    return next(f"other-{n}" for n in range(9999) if bucket_of(f"other-{n}") == bucket)
