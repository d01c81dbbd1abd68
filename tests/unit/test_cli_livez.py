"""/livez: 200 while the loops turn, 503 with names otherwise, and a port that is taken."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import httpx
import pytest

from sagas.application import embedded_platform, run_services
from sagas.core.errors import SettingsError
from sagas.runtime.assembly import ServiceRunner
from sagas.service import Service
from sagas.web.livez import livez_app, serve_livez
from tests.samples import ShipmentCreated


async def answer(*down: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=livez_app(lambda: down))
    async with httpx.AsyncClient(transport=transport, base_url="http://livez") as client:
        return await client.get("/livez")


async def test_all_turn() -> None:
    response = await answer()
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_one_does_not() -> None:
    response = await answer("orders")
    assert response.status_code == 503
    assert response.json() == {"status": "down", "services": ["orders"]}


async def test_it_is_served_until_left() -> None:
    async with (
        serve_livez(list, host="127.0.0.1", port=0) as address,
        httpx.AsyncClient() as client,
    ):
        assert (await client.get(address)).status_code == 200
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(address)


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port} on 127.0.0.1 cannot be opened"):
            async with serve_livez(list, host="127.0.0.1", port=port):
                pass


class SteppedClock:
    """A clock that a test sets; sleeping takes a turn of the loop."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def watcher() -> Service:
    service = Service("watcher")

    @service.observes(ShipmentCreated)
    async def watch(event: ShipmentCreated, context: object) -> None: ...

    return service


async def test_a_worker_is_alive_while_its_loop_turns() -> None:
    stop, running = asyncio.Event(), asyncio.Event()
    runners: list[ServiceRunner] = []
    clock = SteppedClock()
    async with asyncio.timeout(10), embedded_platform() as platform:
        work = asyncio.create_task(
            run_services(
                [watcher()],
                replace(platform, clock=clock),
                stop=stop,
                on_created=runners.extend,
                on_running=running.set,
            )
        )
        await running.wait()
        worker = runners[0].worker
        assert worker is not None
        assert worker.is_alive(within_ms=60_000)
        clock.ms += 60_001
        assert not worker.is_alive(within_ms=60_000)
        while not worker.is_alive(within_ms=60_000):  # until the poll under way is over
            await clock.sleep(0)
        stop.set()
        await work
        assert not worker.is_alive(within_ms=60_000)
