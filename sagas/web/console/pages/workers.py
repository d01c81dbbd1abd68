"""Which services there are, who works for each, how far behind they are, and what each has to do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse

from sagas.web.console.rendering import fragment, page
from sagas.web.console.state import Console, console_of

__all__ = ["live", "workers"]

_PACE_S = 5.0
"""Lag is asked of Kafka, which takes a connection each time."""


async def workers(request: Request) -> HTMLResponse:
    """The page."""
    return page(request, "workers.html", part=await _part(console_of(request)))


async def live(request: Request) -> StreamingResponse | PlainTextResponse:
    """The same as it changes."""
    console, streams = console_of(request), request.app.state.streams
    if streams.are_full:
        return PlainTextResponse("Too many look already.\n", 503)
    response: StreamingResponse = streams.response(lambda: _part(console), pace_s=_PACE_S)
    return response


async def _part(console: Console) -> str:
    working = await console.servers.working(console.sagas, console.services)
    steps: dict[str, list[tuple[str, str]]] = {}
    for saga in console.sagas:
        for step in saga.definition.steps:
            steps.setdefault(step.service, []).append((saga.name, step.name))
    reports = [worker for one in working.standings for worker in one.workers]
    return fragment("workers_part.html", working=working, steps=steps, reports=reports)
