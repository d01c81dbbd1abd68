"""Which services there are, and what each has to do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse

from sagas.web.console.rendering import page
from sagas.web.console.state import console_of

__all__ = ["workers"]


async def workers(request: Request) -> HTMLResponse:
    """The page."""
    console = console_of(request)
    steps = [
        (step.service, saga.name, step.name)
        for saga in console.sagas
        for step in saga.definition.steps
    ]
    rows = [(name, [one[1:] for one in steps if one[0] == name]) for name in console.service_names]
    return page(request, "workers.html", rows=rows)
