"""``/livez``: whether the workers of this process still turn, for whoever restarts it if not.

Owns one small HTTP server, on which others may be answered, too. Asks neither Kafka nor Redis: whether they
answer is no reason to restart this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from sagas.web.serving import QuietServer, address_of, listen

__all__ = ["livez_app", "serve_livez"]

_BACKLOG = 16


def livez_app(down: Callable[[], Sequence[str]], routes: Sequence[BaseRoute] = ()) -> Starlette:
    """200 ``{"status": "ok"}`` while ``down`` names nobody; else 503 with the services it names.

    ``routes`` are answered beside ``/livez``.
    """

    async def livez(_request: Request) -> JSONResponse:
        stopped = list(down())
        if stopped:
            return JSONResponse({"status": "down", "services": stopped}, status_code=503)
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/livez", livez), *routes])


@asynccontextmanager
async def serve_livez(
    down: Callable[[], Sequence[str]], *, host: str, port: int, routes: Sequence[BaseRoute] = ()
) -> AsyncIterator[str]:
    """Answer ``/livez``, and these routes, until left; yields the address. Port 0 takes a free one.

    Raises SettingsError where the port cannot be had. Signals are left to the process.
    """
    listening = listen(host, port, backlog=_BACKLOG, what="/livez", option="--livez-port")
    server = QuietServer(
        uvicorn.Config(
            livez_app(down, routes), log_config=None, access_log=False, lifespan="off", ws="none"
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="livez")
    try:
        yield f"{address_of(listening)}/livez"
    finally:
        server.should_exit = True
        await serving
