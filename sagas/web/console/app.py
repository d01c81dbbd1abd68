"""The console as an ASGI application: its addresses, and how errors are told.

Owns both. Every error is a page that says what was seen and what to do; none shows a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sagas.core.errors import ContractViolation, SagaError, SettingsError
from sagas.operating.errors import Misasked, NotFound, Refused, Unanswered
from sagas.ports import BrokerUnavailable, TableUnavailable
from sagas.restoring import TableLost, TableRebuilding
from sagas.web.console.guard import Guard, user_of
from sagas.web.console.live import Streams
from sagas.web.console.pages import (
    asking,
    history,
    instance,
    letters,
    listing,
    overview,
    signing,
    stuck,
    workers,
)
from sagas.web.console.rendering import page
from sagas.web.console.servers import Away
from sagas.web.console.state import Console, console_of

__all__ = ["console_app"]

_STATIC = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_ERRORS: tuple[tuple[type[Exception], int, str], ...] = (
    (NotFound, 404, "Not found"),
    (Misasked, 400, "This can not be asked"),
    (Refused, 409, "Refused"),
    (Away, 503, "A server does not answer"),
    (Unanswered, 503, "No answer"),
    (TableLost, 503, "The saga table is not complete"),
    (TableRebuilding, 503, "The saga table is being rebuilt"),
    (TableUnavailable, 503, "Redis does not answer"),
    (BrokerUnavailable, 503, "Kafka does not answer"),
    (SettingsError, 503, "A server is not set up for this"),
    (ContractViolation, 409, "This can not be read"),
)
_HTTP = {401: "Sign in first", 403: "Not allowed", 404: "Not found", 405: "Not allowed"}


def console_app(console: Console) -> ASGIApp:
    """The application. Nothing is connected before it is asked for something."""
    routes = [
        Route("/", overview.overview),
        Route("/live", overview.live),
        Route("/sagas", listing.listing),
        Route("/saga", instance.instance),
        Route("/saga/live", instance.live),
        Route("/saga/picture.svg", instance.picture),
        Route("/ask", asking.look, methods=["GET"]),
        Route("/ask", asking.ask, methods=["POST"]),
        Route("/stuck", stuck.stuck),
        Route("/workers/live", workers.live),
        Route("/letters", letters.letters),
        Route("/letter", letters.letter),
        Route("/letters/resolve", letters.look, methods=["GET"]),
        Route("/letters/resolve", letters.resolve, methods=["POST"]),
        Route("/workers", workers.workers),
        Route("/choreography", instance.choreography),
        Route("/choreography/picture.svg", instance.choreography_picture),
        Route("/actions", history.history),
        Route("/sign-in", signing.form, methods=["GET"]),
        Route("/sign-in", signing.sign_in, methods=["POST"]),
        Route("/sign-out", signing.sign_out, methods=["POST"]),
        Route("/static/{name}", _static),
    ]
    handlers: Mapping[Any, Any] = {
        HTTPException: _http_error,
        SagaError: _saga_error,
        TimeoutError: _saga_error,
        Exception: _unforeseen,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.console = console
    app.state.streams = Streams(console.closing)
    app.state.attempts = signing.Attempts()
    return Guard(  # around all of it, so that no answer lacks what the guard says
        app,
        signer=console.signer,
        users=console.users,
        local=console.local,
        origin=console.origin,
        refused=lambda request, said: console.journal.refused(_who(request), _line(request), said),
    )


def _who(request: Request) -> str:
    user = user_of(request)
    return "nobody" if user is None else user.name


def _line(request: Request) -> str:
    return f"{request.method} {request.url.path}"


async def _static(request: Request) -> Response:
    """Our own style, script and icon, from the package."""
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404)
    content = (files("sagas.web.console") / "static" / name).read_bytes()
    return Response(content, media_type=_STATIC[name], headers={"cache-control": "no-cache"})


async def _saga_error(request: Request, error: Exception) -> Response:
    status, title = next(
        ((status, title) for kind, status, title in _ERRORS if isinstance(error, kind)),
        (500, "This can not be done"),
    )
    said = str(error) or "It has taken too long."
    return _told(request, status, title, said)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    said = error.detail if isinstance(error, HTTPException) else ""
    if status == 404:  # noqa: PLR2004 - as everybody knows it
        said = f"There is no page {request.url.path}."
    if status == 403:  # noqa: PLR2004
        console_of(request).journal.refused(_who(request), _line(request), said)
    return _told(request, status, _HTTP.get(status, "This can not be done"), said)


async def _unforeseen(request: Request, error: Exception) -> Response:
    console_of(request).journal.failed(_line(request), error)
    said = f"{type(error).__name__}: nobody has foreseen this. The log of the console has the rest."
    return _told(request, 500, "Something is wrong here", said)


def _told(request: Request, status: int, title: str, said: str) -> Response:
    if request.url.path.endswith((".svg", "/live")):
        return PlainTextResponse(f"{title}: {said}\n", status)
    return page(request, "error.html", status=status, title=title, said=said)
