"""Faults of the servers. A server is in the hand of one fault at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from urllib.parse import urlsplit

from sqlalchemy import text

from campaign.world import World

__all__ = ["crash", "cut", "flush", "lose_the_last_second", "restart"]

_LOST_BYTES = (500, 20_000)
_CUT = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
)


def restart(server: str) -> Callable[[World, Random], Awaitable[str]]:
    """Stopped as it wants to be, and started again at once."""

    async def fault(world: World, _chance: Random) -> str:
        async with world.servers.turns[server]:
            await world.servers.stop(server)
            await world.servers.start(server)
        return ""

    return fault


def crash(server: str) -> Callable[[World, Random], Awaitable[str]]:
    """Gone at once, and started again."""

    async def fault(world: World, _chance: Random) -> str:
        async with world.servers.turns[server]:
            await world.servers.crash(server)
            await world.servers.start(server)
        return ""

    return fault


async def lose_the_last_second(world: World, chance: Random) -> str:
    """A machine that dies with ``appendfsync everysec``: acknowledged writes are gone."""
    async with world.servers.turns["redis"]:
        await world.servers.crash("redis")
        lost = chance.randint(*_LOST_BYTES)
        size = world.servers.lose_the_last_second(lost)
        await world.servers.start("redis")
    return f"the last {lost} of {size} bytes"


async def flush(world: World, _chance: Random) -> str:
    """The whole table is gone, and the server is the same."""
    address = urlsplit(world.servers.redis)
    async with world.servers.turns["redis"], asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"DBSIZE\r\nFLUSHALL\r\n")
        keys = (await reader.readline()).decode().strip()
        done = (await reader.readline()).decode().strip()
        writer.close()
        await writer.wait_closed()
    return f"{keys.removeprefix(':')} keys, {done}"


async def cut(world: World, _chance: Random) -> str:
    """Whoever is in a transaction does not know what became of it."""
    async with (
        world.servers.turns["postgresql"],
        world.databases["orders"].connect() as connection,
    ):
        return f"{await connection.scalar(_CUT)} connections"
