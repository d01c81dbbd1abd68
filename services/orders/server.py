"""Serving HTTP inside the orders process, beside its worker.

Owns the server's life. It must never touch the process's signals: those belong to the worker.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from uvicorn import Config

from sagas.web.serving import QuietServer

__all__ = ["serving"]


@asynccontextmanager
async def serving(app: Starlette, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve from here to the end of the block, where requests under way are finished.

    Yields the port, which is a free one if 0 was asked for. Raises OSError if it is taken.
    """
    with socket.create_server((host, port)) as listening:
        server = QuietServer(
            Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
            )
        )
        serve = asyncio.create_task(server.serve(sockets=[listening]), name="orders-http")
        try:
            yield int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            await asyncio.gather(serve, return_exceptions=True)
