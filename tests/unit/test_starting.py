"""A service whose own database is away when it starts waits for it, as it waits for Kafka and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from sagas.application import embedded_platform, run_services
from sagas.ports import JournalUnavailable
from tests.handlers import Shop


class Quick:
    """A clock on which nobody waits."""

    def now_ms(self) -> int:
        return 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


Opening = Callable[[], AbstractAsyncContextManager[tuple[object, ...]]]


def opening(attempts: list[str], *, failures: float, on_failure: Callable[[], None]) -> Opening:
    @asynccontextmanager
    async def resources() -> AsyncIterator[tuple[object, ...]]:
        attempts.append("opened")
        if len(attempts) <= failures:
            on_failure()
            raise JournalUnavailable("the database does not answer")
        async with asyncio.timeout(60):  # belongs to one task, from here to the end
            yield ()
        attempts.append("closed")

    return resources


async def run(resources: Opening, stop: asyncio.Event, on_running: Callable[[], None]) -> None:
    service = Shop().services[0]
    async with embedded_platform() as platform, asyncio.timeout(30):
        at = replace(platform, clock=Quick(), timer_duty=False)
        await run_services(
            [service], at, stop=stop, resources={service.name: resources}, on_running=on_running
        )


async def test_it_is_waited_for() -> None:
    attempts: list[str] = []
    stop = asyncio.Event()
    resources = opening(attempts, failures=3, on_failure=lambda: None)
    await run(resources, stop, on_running=stop.set)
    assert attempts == ["opened"] * 4 + ["closed"]


async def test_a_service_that_is_stopped_meanwhile_ends() -> None:
    attempts: list[str] = []
    stop = asyncio.Event()
    resources = opening(attempts, failures=float("inf"), on_failure=stop.set)
    await run(resources, stop, on_running=lambda: pytest.fail("it never ran"))
    assert attempts
    assert "closed" not in attempts


async def test_any_other_error_ends_it() -> None:
    def resources() -> AbstractAsyncContextManager[tuple[object, ...]]:
        raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        await run(resources, asyncio.Event(), on_running=lambda: None)
