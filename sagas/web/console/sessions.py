"""Sessions: a signed cookie that says who it is until when, and the token that forms carry.

Owns the two forms. Nothing is kept on the server: a new secret ends all sessions.
"""

from __future__ import annotations

import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac

__all__ = ["SESSION_S", "Session", "Signer"]

SESSION_S = 12 * 3600
_COOKIE = re.compile(r"([A-Za-z0-9_=-]{0,400})\.([A-Za-z0-9_-]{16,64})\.(\d{1,12})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's session. ``name`` is empty until somebody has signed in; ``nonce`` is its own."""

    name: str
    nonce: str
    until_s: int


class Signer:
    """Signs sessions, and makes the tokens that prove that a form came from one of our own pages."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @staticmethod
    def begun(name: str, now_s: float) -> Session:
        """A new session, with a nonce that nobody has seen."""
        return Session(name, secrets.token_urlsafe(24), int(now_s) + SESSION_S)

    def cookie_of(self, session: Session) -> str:
        """The session as the browser keeps it."""
        said = _said(session)
        return f"{said}.{self._mac('session', said)}"

    def session_of(self, cookie: str, now_s: float) -> Session | None:
        """The session that we have signed, unless it is over; None for anything else."""
        found = _COOKIE.fullmatch(cookie)
        if found is None:
            return None
        said, _, mac = cookie.rpartition(".")
        if not compare_digest(mac, self._mac("session", said)) or int(found[3]) <= now_s:
            return None
        return Session(urlsafe_b64decode(found[1]).decode(), found[2], int(found[3]))

    def token_of(self, session: Session) -> str:
        """What each form of this session carries."""
        return self._mac("form", _said(session))

    def proves(self, token: str, session: Session) -> bool:
        """Whether a form came from a page of this session."""
        return compare_digest(token.encode(), self.token_of(session).encode())

    def _mac(self, purpose: str, said: str) -> str:
        return hmac(self._secret, f"{purpose}:{said}".encode(), sha256).hexdigest()


def _said(session: Session) -> str:
    name = urlsafe_b64encode(session.name.encode()).decode()
    return f"{name}.{session.nonce}.{session.until_s}"
