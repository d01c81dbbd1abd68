"""The saga table on a Redis that is unfit, away, silent or restarted: a server of the test's
own."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
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
from sagas.ports import RowChange, Stamp, TableUnavailable

pytestmark = pytest.mark.real


class PrivateRedis:
    """A Redis process on a free port, started and stopped at will."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, **settings: str) -> None:
        flags = {"port": str(self.port), "dir": str(self.directory), "save": "", **settings}
        words = [word for name, value in flags.items() for word in (f"--{name}", *value.split(" "))]
        self.process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
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


async def test_a_restart_between_calls_is_not_noticed(server: PrivateRedis) -> None:
    server.start(appendonly="yes", appendfsync="always")
    table = RedisSagaTable(server.settings())
    await table.start()
    first = change()
    assert await table.store(first)
    server.stop()
    server.start(appendonly="yes", appendfsync="always")
    assert await table.store(change(first.stamp))
    row = await table.load("S", "o-1")
    assert row is not None
    assert row.stamp == Stamp(1, 2)
    await table.stop()


async def test_after_an_absence_the_same_change_is_stored(server: PrivateRedis) -> None:
    server.start()
    table = RedisSagaTable(server.settings())
    await table.start()
    server.stop()
    lost = change()
    with pytest.raises(TableUnavailable, match=server.address):
        await table.store(lost)
    server.start()
    assert await table.store(lost)
    assert await table.store(lost)
    await table.stop()
