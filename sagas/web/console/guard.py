"""Who is let through to the console's pages, and what every answer says to the browser.

Owns the checks that no page can forget: the host, the origin of what is posted, the session, and the headers
that keep anything but our own files out. Forms carry a token besides, which ``forms`` checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sagas.web.console.sessions import SESSION_S, Session, Signer
from sagas.web.console.settings import is_loopback
from sagas.web.console.users import User, Users

__all__ = ["Guard", "session_of", "user_of"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    # With `no-referrer` browsers send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_OPEN = ("/sign-in", "/static/")
"""What is there for somebody who has not signed in."""


def session_of(request: Request) -> Session:
    """The session of whoever asks; the guard has seen to it that there is one."""
    session: Session = request.scope["state"]["session"]
    return session


def user_of(request: Request) -> User | None:
    """Who asks; None for somebody who has not signed in."""
    user: User | None = request.scope["state"]["user"]
    return user


class Guard:
    """An ASGI middleware around all pages. Without ``users`` everybody who reaches us is ``local``.

    Which page is asked for is what the server says, as for the routes: ``Request.url`` is put together with
    the ``Host`` of the request, which may hold a path of its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        signer: Signer,
        users: Users | None,
        local: User,
        origin: str | None,
        refused: Callable[[Request, str], None],
    ) -> None:
        self._app = app
        self._signer = signer
        self._users = users
        self._local = local
        self._origin = origin
        self._secure = origin is not None and origin.startswith("https:")
        self._cookie = "__Host-sagas-console" if self._secure else "sagas-console"
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        known = self._signer.session_of(_cookie(request, self._cookie), time.time())
        session = known or self._signer.begun("", time.time())
        user = self._user(session)
        scope["state"] = {**scope.get("state", {}), "session": session, "user": user}
        told = session if known is None else None
        answer = _sender(send, _HEADERS, lambda: self._set_cookie(scope, told))
        if (said := self._forged(request)) is not None:
            self._refused(request, said)
            await PlainTextResponse(f"{said}\n", 403)(scope, receive, answer)
        elif user is None and not scope["path"].startswith(_OPEN):
            await self._ask_who(request)(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)

    def _user(self, session: Session) -> User | None:
        if self._users is None:
            return self._local
        return self._users.named(session.name) if session.name else None

    def _ask_who(self, request: Request) -> RedirectResponse | PlainTextResponse:
        path = request.scope["path"]
        if request.method != "GET" or path.endswith("/live"):
            return PlainTextResponse("Sign in first.\n", 401)
        asked = path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", 303)

    def _forged(self, request: Request) -> str | None:
        """Why a request is not one of our own pages'; None if it is."""
        host = request.headers.get("host", "")
        if self._origin is not None and host.lower() != urlsplit(self._origin).netloc:
            return f"This console is {self._origin}, and was asked for as another host."
        if self._origin is None and self._users is None and not is_loopback(_name(host)):
            return "A console without users answers under the names of this machine only."
        if request.method in {"GET", "HEAD"}:
            return None
        if request.headers.get("origin", "").lower() != self._own_origin(request, host):
            return (
                "This request does not come from a page of this console. Behind a proxy, say in "
                "SAGAS_WEB_ORIGIN under which address people see it."
            )
        return None

    def _own_origin(self, request: Request, host: str) -> str:
        return self._origin or f"{request.url.scheme}://{host}".lower()

    def _set_cookie(self, scope: Scope, told: Session | None) -> str | None:
        """The header that gives the browser its session, where it has another one or none."""
        session: Session | None = scope["state"].get("new_session", told)
        if session is None:
            return None
        secure = "; Secure" if self._secure else ""
        return (
            f"{self._cookie}={self._signer.cookie_of(session)}; Path=/; HttpOnly; SameSite=Strict; "
            f"Max-Age={SESSION_S}{secure}"
        )


def _name(host: str) -> str:
    """The host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookie(request: Request, name: str) -> str:
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _sender(send: Send, headers: dict[str, str], cookie: Callable[[], str | None]) -> Send:
    """Says what is said with every answer; an answer's own policy stands."""

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = MutableHeaders(scope=message)
            for name, value in _all(headers):
                said.setdefault(name, value)
            if (own := cookie()) is not None:
                said.append("set-cookie", own)
        await send(message)

    return answer


def _all(headers: dict[str, str]) -> Iterable[tuple[str, str]]:
    yield from headers.items()
    yield "cache-control", "no-store"
