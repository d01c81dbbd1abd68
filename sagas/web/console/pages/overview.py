"""How many sagas stand where, as it changes."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse

from sagas.operating.counting import counted
from sagas.operating.standing import unprepared_words
from sagas.web.console.rendering import fragment, page
from sagas.web.console.state import Console, console_of

__all__ = ["live", "overview"]


async def overview(request: Request) -> HTMLResponse:
    """The page, with its counts as they are now."""
    return page(request, "overview.html", part=await _part(console_of(request)))


async def live(request: Request) -> StreamingResponse | PlainTextResponse:
    """The counts as they change."""
    console = console_of(request)
    streams = request.app.state.streams
    if streams.are_full:
        return PlainTextResponse("Too many look already.\n", 503)
    response: StreamingResponse = streams.response(lambda: _part(console))
    return response


async def _part(console: Console) -> str:
    """Made once a second for all who look."""
    async with console.counting:
        made_ms, text = console.counts
        now_ms = time.time_ns() // 1_000_000
        if now_ms - made_ms < _FRESH_MS:
            return text
        async with console.servers.table() as table:
            found = await counted(table, console.sagas, now_ms)
        blank = [one.saga for one in found if one.standing.is_blank]
        said = [one.standing.words() for one in found if not one.standing.is_ready]
        if blank:
            said = [unprepared_words(blank, console.servers.namespace)]
        text = fragment("overview_part.html", counted=found, unready=said)
        console.counts = (now_ms, text)
        return text


_FRESH_MS = 900
