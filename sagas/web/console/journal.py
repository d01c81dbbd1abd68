"""What people did by this console: a log line for each, and the last ones for the page.

Owns the fields of those lines. What was asked of a saga is on its control topic, too, whoever asked; what was
refused is only here.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from sagas.core.printable import printable
from sagas.observability.events import LogEvent

__all__ = ["Journal", "Kept"]

_log = structlog.get_logger(__name__)
_KEPT_MAX = 500
_WORDS_MAX = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """Who did what when, and what came of it."""

    at_ms: int
    who: str
    what: str
    about: str
    why: str
    result: str


class Journal:
    """Kept in memory, the newest first; the log has them all."""

    def __init__(self) -> None:
        self._kept: deque[Kept] = deque(maxlen=_KEPT_MAX)

    @property
    def kept(self) -> Sequence[Kept]:
        """The last ones, newest first."""
        return list(self._kept)

    def action(self, who: str, what: str, about: str, why: str, result: str) -> None:
        """Somebody asked something of a saga or a dead letter."""
        self._keep(who, what, about, why, result)
        _log.info(
            LogEvent.CONSOLE_ACTION,
            user=who,
            action=what,
            about=_short(about),
            why=_short(why),
            result=_short(result),
        )

    def signed_in(self, who: str, client: str) -> None:
        """Somebody has proven who they are."""
        self._keep(who, "sign in", client, "", "signed in")
        _log.info(LogEvent.CONSOLE_SIGNED_IN, user=who, client=client)

    def signed_out(self, who: str) -> None:
        """Somebody has ended their session."""
        self._keep(who, "sign out", "", "", "signed out")
        _log.info(LogEvent.CONSOLE_SIGNED_OUT, user=who)

    def sign_in_failed(self, who: str, client: str) -> None:
        """Somebody has not proven who they are."""
        self._keep(who, "sign in", client, "", "wrong name or password")
        _log.warning(LogEvent.CONSOLE_SIGN_IN_FAILED, user=_short(who), client=client)

    def refused(self, who: str, request: str, reason: str) -> None:
        """A request was not let through."""
        self._keep(who, request, "", "", reason)
        _log.warning(LogEvent.CONSOLE_REFUSED, user=who, request=_short(request), reason=reason)

    def failed(self, request: str, error: Exception) -> None:
        """Something unforeseen has happened to a request."""
        _log.error(
            LogEvent.CONSOLE_FAILED,
            request=_short(request),
            error=f"{type(error).__name__}: {error}",
            exc_info=error,
        )

    def _keep(self, who: str, what: str, about: str, why: str, result: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        self._kept.appendleft(Kept(now_ms, *map(_short, (who, what, about, why, result))))


def _short(text: str) -> str:
    return printable(text, chars_max=_WORDS_MAX)
