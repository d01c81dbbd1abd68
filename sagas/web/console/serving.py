"""The console as a process: one HTTP server, until it is told to stop.

Owns the port and the end: streams are ended first, so that nobody waits for browsers that stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
import uvicorn
from starlette.types import ASGIApp

from sagas.observability.events import LogEvent
from sagas.web.console.app import console_app
from sagas.web.console.state import Console
from sagas.web.serving import QuietServer, address_of, listen

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
    opened = listen(host, port, backlog=_BACKLOG, what="the console", option="--port")
    server = QuietServer(_config(console_app(console)))
    serving = asyncio.create_task(server.serve(sockets=[opened]), name="console")
    stopping = asyncio.create_task(stop.wait())
    try:
        address = f"{address_of(opened)}/"
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
