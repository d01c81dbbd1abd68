"""Signing in and out. Owns how often somebody may try."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sagas.web.console.forms import form_of
from sagas.web.console.guard import user_of
from sagas.web.console.rendering import page
from sagas.web.console.state import console_of

__all__ = ["Attempts", "form", "sign_in", "sign_out"]

_FAILURES_MAX = 10
_WITHIN_S = 60.0
_AT_ONCE = 2
"""A hash takes 32 MB and a tenth of a second."""


class Attempts:
    """How many have failed lately, by client and name, and how many are being looked at."""

    def __init__(self) -> None:
        self._failed: dict[str, deque[float]] = {}
        self.gate = asyncio.Semaphore(_AT_ONCE)

    def too_many(self, who: str, now_s: float) -> bool:
        """Whether they have to wait."""
        for known, times in tuple(self._failed.items()):
            while times and times[0] < now_s - _WITHIN_S:
                times.popleft()
            if not times:
                del self._failed[known]
        return len(self._failed.get(who, ())) >= _FAILURES_MAX

    def failed(self, who: str, now_s: float) -> None:
        """One more."""
        self._failed.setdefault(who, deque()).append(now_s)


def _next(text: str) -> str:
    """Where to go afterwards: a page of ours, and no other host."""
    fits = text.startswith("/") and not text.startswith(("//", "/\\")) and "\\" not in text
    return text if fits and text.isprintable() else "/"


async def form(request: Request) -> Response:
    """The form; whoever is signed in already goes on."""
    after = _next(request.query_params.get("next", "/"))
    if user_of(request) is not None:
        return RedirectResponse(after, 303)
    return page(request, "sign_in.html", next=after, problem="")


async def sign_in(request: Request) -> Response:
    """Begin a session, if it is their password."""
    console, attempts = console_of(request), request.app.state.attempts
    said = await form_of(request)
    after, name = _next(said.get("next", "/")), said.get("name", "").strip()
    client = "" if request.client is None else request.client.host
    if console.users is None:
        return RedirectResponse(after, 303)
    async with attempts.gate:  # or those who wait together would all have been few when they came
        if attempts.too_many(f"{client} {name}", time.monotonic()):
            return _again(request, after, "Too many have failed for this name: wait a minute.", 429)
        user = await asyncio.to_thread(console.users.proven, name, said.get("password", ""))
        if user is None:
            attempts.failed(f"{client} {name}", time.monotonic())
    if user is None:
        console.journal.sign_in_failed(name, client)
        return _again(request, after, "There is nobody of that name with that password.", 401)
    request.scope["state"]["new_session"] = console.signer.begun(user.name, time.time())
    console.journal.signed_in(user.name, client)
    return RedirectResponse(after, 303)


def _again(request: Request, after: str, problem: str, status: int) -> HTMLResponse:
    return page(request, "sign_in.html", status=status, next=after, problem=problem)


async def sign_out(request: Request) -> Response:
    """End the session in this browser."""
    console, user = console_of(request), user_of(request)
    await form_of(request)
    request.scope["state"]["new_session"] = console.signer.begun("", time.time())
    if user is not None:
        console.journal.signed_out(user.name)
    return RedirectResponse("/sign-in" if console.users is not None else "/", 303)
