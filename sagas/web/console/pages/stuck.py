"""The sagas that look as if they were running, each with the reason."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse

from sagas.operating.stuck import find_stuck
from sagas.web.console.rendering import page
from sagas.web.console.state import console_of

__all__ = ["stuck"]

_SHOWN_MAX = 50


async def stuck(request: Request) -> HTMLResponse:
    """The surest and oldest ones, found within a bound that is told."""
    console = console_of(request)
    async with console.servers.lookout(console.sagas, console.services) as lookout:
        found = await find_stuck(lookout, console.sagas, limit=_SHOWN_MAX)
    return page(request, "stuck.html", found=found, several=len(console.sagas) > 1)
