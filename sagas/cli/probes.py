"""What ``sagas run --livez-port`` answers: one small server for all who look at the process from outside.

Owns which routes there are, and what each is told of the workers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sagas.cli.errors import CommandError, ExitCode
from sagas.observability.events import LogEvent

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from sagas.runtime.assembly import ServiceRunner
    from sagas.runtime.health import Health

__all__ = ["STALLED_AFTER_MS", "answering"]

STALLED_AFTER_MS = 90_000
"""A poll may wait as long as its group rebalances, a minute; one that takes longer hangs."""


@asynccontextmanager
async def answering(
    services: Sequence[str],
    runners: Sequence[ServiceRunner],
    *,
    host: str,
    port: int,
    more: Sequence[BaseRoute] = (),
) -> AsyncIterator[None]:
    """Answer ``/livez``, ``/readyz`` and ``/health`` for these services, and ``more``, until left.

    ``runners`` may come later: a service without one has not begun yet. Raises CommandError where the
    server's packages are missing, and SettingsError where the port can not be had.
    """
    import structlog

    try:
        from sagas.web.health import health_routes
        from sagas.web.livez import serve_livez
    except ImportError as error:
        raise CommandError(
            ExitCode.USAGE,
            f"--livez-port needs the extra 'web' ({error.name} is not installed): "
            "install this project as 'sagas-choreography[web]', from its clone: "
            "pip install '/path/to/clone[web]'.",
        ) from error
    routes = [*health_routes(lambda: _health(services, runners)), *more]
    serving = serve_livez(lambda: _down(services, runners), host=host, port=port, routes=routes)
    async with serving as address:
        structlog.get_logger().info(LogEvent.LIVEZ_LISTENING, address=address)
        yield


def _down(services: Sequence[str], runners: Sequence[ServiceRunner]) -> list[str]:
    alive = {
        runner.service.name
        for runner in runners
        if runner.worker is not None and runner.worker.is_alive(within_ms=STALLED_AFTER_MS)
    }
    return [service for service in services if service not in alive]


def _health(services: Sequence[str], runners: Sequence[ServiceRunner]) -> Mapping[str, Health]:
    from sagas.runtime.health import Condition, Health

    begun = {runner.service.name: runner for runner in runners}
    waiting = Health(Condition.STARTING, "it waits for its servers")
    return {name: begun[name].health() if name in begun else waiting for name in services}
