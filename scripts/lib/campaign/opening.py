"""Opening a world: topics made, places for workers known, nothing running yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from local_stack.processes import free_port

from campaign.customers import Customers
from campaign.logs import Logs
from campaign.operators import Operators
from campaign.records import SERVICES
from campaign.servers import Servers
from campaign.tail import Tail
from campaign.workers import Worker
from campaign.world import World, databases_of, environment_of

__all__ = ["opened"]


@asynccontextmanager
async def opened(folder: Path, *, rate: float, seed: int) -> AsyncIterator[World]:
    """The world on the servers that the environment names; every process is killed at the end."""
    servers, logs = Servers.of_environment(), Logs()
    environment, tail = environment_of(servers), Tail(servers.kafka)
    workers = {
        service: Worker(
            *(service, service, environment, logs, folder),
            http_port=free_port() if service == "orders" else None,
        )
        for service in SERVICES
    }

    def ports() -> list[int]:
        return [one.http_port for one in workers.values() if one.http_port and one.is_there]

    world = World(
        servers=servers,
        workers=workers,
        customers=Customers(ports, tail, rate=rate, seed=seed),
        operators=Operators(environment),
        tail=tail,
        logs=logs,
        databases=databases_of(servers),
    )
    code, said = await world.operators.sagas("topics", "apply")
    if code:
        raise RuntimeError(f"sagas topics apply: {said}")
    try:
        async with tail.followed():
            yield world
    finally:
        await asyncio.gather(*(worker.kill() for worker in workers.values()))
