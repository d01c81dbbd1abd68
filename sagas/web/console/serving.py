"""The console as a process: one HTTP server, until it is told to stop.

Owns the port and the end: streams are ended first, so that nobody waits for browsers that stay.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from sagas.core.errors import SettingsError
from sagas.observability.events import LogEvent
from sagas.web.console.app import console_app
from sagas.web.console.state import Console

__all__ = ["serve"]

_log = structlog.get_logger(__name__)
_BACKLOG = 128
_GRACE_S = 5


async def serve(
    console: Console,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    listening: Callable[[str], None],
) -> None:
    """Serve until ``stop`` is set; ``listening`` is told the address. Port 0 takes a free one.

    Raises SettingsError where the port can not be had.
    """
    opened = _listen(host, port)
    server = _Server(_config(console_app(console)))
    serving = asyncio.create_task(server.serve(sockets=[opened]), name="console")
    stopping = asyncio.create_task(stop.wait())
    try:
        name, bound = opened.getsockname()[:2]
        address = f"http://{f'[{name}]' if ':' in name else name}:{bound}/"
        _log.info(LogEvent.CONSOLE_LISTENING, address=address, signs_in=console.users is not None)
        listening(address)
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        console.closing.set()
        server.should_exit = True
        stopping.cancel()
        await serving
        await console.servers.close()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Bound here and not by uvicorn, which ends the whole process when it fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"Port {port} on {host} can not be opened for the console ({error}); give a free one with "
            "--port."
        ) from error


class _Server(uvicorn.Server):
    """Signals are the process's."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield
