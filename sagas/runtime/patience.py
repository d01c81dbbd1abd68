"""Waiting for a server that is away: the same call again, with a growing pause, for as long as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import structlog

from sagas.core.errors import RetriableError
from sagas.ports import Clock

__all__ = ["Patience", "cancellations"]

T = TypeVar("T")
P = ParamSpec("P")

_log = structlog.get_logger()

_TOLD_AGAIN_MS = 5_000
_TOLD_MAX = 100
"""So many different words are known; what a server says may hold anything."""


class Patience:
    """Repeats a call that is safe to repeat until the server answers.

    The message stays in flight and unacknowledged meanwhile, its partition is paused once its bound is
    reached, and nothing is lost; whoever does not want to wait any longer cancels the task. A call's first
    failure and every tenth are logged, the same words once in five seconds: one line speaks for all the
    messages that wait for one server, and one says that it answers again.
    ``heard`` gets every failure.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        pause_s: float = 0.05,
        pause_max_s: float = 5.0,
        heard: Callable[[RetriableError], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._heard = heard
        self._pause_s = pause_s
        self._pause_max_s = pause_max_s
        self._told_ms: dict[str, int] = {}

    async def insist(
        self, call: Callable[P, Awaitable[T]], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The call's result, after as many attempts as it takes. Other errors pass through."""
        cancelled = cancellations()
        try:
            return await call(*arguments, **named)
        except RetriableError as error:
            return await self.go_on(error, cancelled, call, *arguments, **named)

    async def go_on(
        self,
        error: RetriableError,
        cancelled: int,
        call: Callable[P, Awaitable[T]],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """As ``insist``, for a call that has failed once; ``cancelled`` is how often the task had been asked
        to end before it.
        """
        failures = 0
        try:
            while True:
                if cancellations() > cancelled:  # a driver may answer a cancellation by an error
                    raise asyncio.CancelledError from error
                self._heard(error)
                failures += 1
                pause_s = min(self._pause_s * 2 ** min(failures - 1, 16), self._pause_max_s)
                told = str(error)
                if (failures == 1 or failures % 10 == 0) and self._is_news(told):
                    _log.warning(
                        "server.unavailable", error=told, failures=failures, pause_s=pause_s
                    )
                await self._clock.sleep(pause_s)
                try:
                    result = await call(*arguments, **named)
                except RetriableError as again:
                    error = again
                else:
                    if self._told_ms:
                        self._told_ms.clear()
                        _log.info("server.available", failures=failures)
                    return result
        finally:
            del error  # it holds this frame by its traceback, and with it what is written or sent

    def _is_news(self, told: str) -> bool:
        """Whether nobody has said this lately."""
        now_ms = self._clock.now_ms()
        before_ms = self._told_ms.get(told)
        if before_ms is not None and 0 <= now_ms - before_ms < _TOLD_AGAIN_MS:
            return False
        if len(self._told_ms) >= _TOLD_MAX:
            self._told_ms.clear()
        self._told_ms[told] = now_ms
        return True


def cancellations() -> int:
    """How often the current task was asked to end and has not ended."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
