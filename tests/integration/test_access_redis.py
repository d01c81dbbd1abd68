"""The exported Redis users: the script makes them, a saga lives on them, and each sees its own sagas."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from redis import Redis

from sagas import SagaStatus
from sagas.application import SagaSettings, client_of, embedded_platform, run_services, saga_table
from sagas.exports.redis_access import password_variable, redis_commands, users_of
from sagas.ports import BUCKETS, TableUnavailable
from sagas.wire.topics import Topics
from tests.cli_project import write_project
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced
from tests.trips import Trip

DEADLINE_S = 60


@dataclass(frozen=True)
class Users:
    """The users of one namespace, made by the script."""

    url: str
    namespace: str

    def settings_of(self, name: str) -> SagaSettings:
        user = f"{self.namespace}.{name}"
        parts = urlsplit(self.url)
        place = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{user}:{self.password_of(user)}@{place}"))
        return SagaSettings(redis=url, namespace=self.namespace)

    @staticmethod
    def password_of(user: str) -> str:
        return f"pass-word-of-{user}"


@pytest.fixture
def users(redis_url: str) -> Iterator[Users]:
    client = shutil.which("redis-cli")
    if client is None:
        pytest.skip("no redis-cli on this machine: apt-get install redis-tools")
    namespace = f"acl-{uuid4().hex[:12]}"
    made = users_of([OrderFulfilment, Trip], Shop().services, Topics(namespace))
    passwords = {password_variable(one.name): Users.password_of(one.name) for one in made}
    ended = subprocess.run(
        ["/bin/sh"],
        input=redis_commands(made),
        env=os.environ | {"REDIS_CLI": f"{client} -u {redis_url} -e"} | passwords,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == ["OK"] * len(made)
    yield Users(redis_url, namespace)
    with Redis.from_url(redis_url) as admin:
        admin.execute_command("ACL", "DELUSER", *(one.name for one in made))
        keys = list(admin.scan_iter(f"{namespace}:*", count=1_000))
        admin.unlink(*keys, "nothing")


async def test_a_saga_lives_on_what_is_allowed(users: Users) -> None:
    """Forward and back, each service as its own user."""
    stop = asyncio.Event()
    shop = Shop(declined=frozenset({"o-2"}))
    async with (
        asyncio.timeout(DEADLINE_S),
        embedded_platform(users.namespace) as memory,
        AsyncExitStack() as stack,
    ):
        platforms = {}
        for service in shop.services:
            opening = saga_table(users.settings_of(service.name), timeout_s=5)
            table = await stack.enter_async_context(opening)
            await table.begin_rebuild(OrderFulfilment.name, range(BUCKETS), service.name)
            await table.finish_rebuild(OrderFulfilment.name, range(BUCKETS), service.name, 1)
            platforms[service.name] = replace(memory, table=table)
        async with asyncio.TaskGroup() as running:
            for service in shop.services:
                running.create_task(run_services([service], platforms[service.name], stop=stop))
            client = client_of(platforms["orders"], [OrderFulfilment])
            ends = {}
            for key in ("o-1", "o-2"):
                await client.start(OrderPlaced(order_id=key))
                ends[key] = (await client.wait_for_end(OrderFulfilment, key)).status
            stop.set()
    assert ends == {"o-1": SagaStatus.COMPLETED, "o-2": SagaStatus.COMPENSATED}


async def test_operators_see_all_sagas_and_services_their_own(users: Users) -> None:
    async with saga_table(users.settings_of("operator"), timeout_s=5) as table:
        await table.begin_rebuild(Trip.name, range(BUCKETS), "t")
        await table.finish_rebuild(Trip.name, range(BUCKETS), "t", 1)
        assert await table.load(Trip.name, "t-1") is None
    async with saga_table(users.settings_of("inventory"), timeout_s=5) as table:
        with pytest.raises(TableUnavailable, match=r"(?i)no permissions"):
            await table.load(Trip.name, "t-1")


def test_without_a_password_no_user_is_made(tmp_path: Path) -> None:
    script = write_project(tmp_path).sagas("export", "acls", "--redis").out
    ended = subprocess.run(
        ["/bin/sh"],
        input=script,
        env={"PATH": os.environ["PATH"], "REDIS_CLI": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "SAGAS_ORDERS_PASSWORD: the password of sagas.orders" in ended.stderr
