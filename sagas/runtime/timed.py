"""Servers whose calls are timed, for those who watch: put around them where somebody does, and only there.

Owns nothing of what the calls do: everything passes through as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Protocol, TypeVar, cast

from sagas.ports import Broker
from sagas.restoring import RestorableTable

__all__ = ["Told", "timed_broker", "timed_table"]

_T = TypeVar("_T")

_TABLE_CALLS = frozenset({"load", "store", "annotate", "forget_events", "due_timers"})
"""Of the hot path; the others are seldom, or a person's."""
_BROKER_CALLS = frozenset({"publish"})


class Told(Protocol):
    """Who is told of a call that has ended."""

    def __call__(self, call: str, seconds: float, *, failed: bool) -> None:
        """``failed`` says that it raised."""


def timed_table(
    table: RestorableTable, told: Told, passed_s: Callable[[], float]
) -> RestorableTable:
    """The same table; ``told`` hears of the calls that handling a message makes."""
    return cast(RestorableTable, _Timed(table, _TABLE_CALLS, told, passed_s))


def timed_broker(broker: Broker, told: Told, passed_s: Callable[[], float]) -> Broker:
    """The same broker; ``told`` hears how long a record takes until it is acknowledged."""
    return cast(Broker, _Timed(broker, _BROKER_CALLS, told, passed_s))


class _Timed:
    """Stands for a server; a call that is timed is wrapped once, the others are the server's own."""

    def __init__(
        self, server: object, calls: frozenset[str], told: Told, passed_s: Callable[[], float]
    ) -> None:
        self._server = server
        for call in calls:
            setattr(self, call, _timed(getattr(server, call), call, told, passed_s))

    def __getattr__(self, name: str) -> object:
        return getattr(self._server, name)


def _timed(
    method: Callable[..., Awaitable[_T]], call: str, told: Told, passed_s: Callable[[], float]
) -> Callable[..., Awaitable[_T]]:
    @wraps(method)
    async def timed(*args: object, **named: object) -> _T:
        begun_s, failed = passed_s(), True
        try:
            answer = await method(*args, **named)
            failed = False
        finally:
            told(call, passed_s() - begun_s, failed=failed)
        return answer

    return timed
