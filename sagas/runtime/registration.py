"""A worker's entry in the register of workers: kept fresh while it lives, withdrawn when it has left.

Owns the beat. A register that does not answer is told once and never waited for: nothing that handles
messages depends on it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from sagas.core.errors import RetriableError
from sagas.ports import Clock, TopicPartition
from sagas.ports.workers import WorkerRegistry, WorkerReport
from sagas.runtime.health import Health
from sagas.runtime.lifecycle import Lifecycle

__all__ = ["Identity", "Register", "Registration", "report_of"]

_log = structlog.get_logger()

_LAST_WORD_S = 2.0
"""So long a worker that leaves waits for the register; the report expires anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What tells the workers of this process from others."""

    version: str = ""
    tags: tuple[str, ...] = ()
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The register, who signs there, and how often.

    A report outlives its worker by at most ``ttl_ms``: so long a crash looks like silence.
    """

    registry: WorkerRegistry
    identity: Identity = field(default_factory=Identity)
    beat_s: float = 3.0
    ttl_ms: int = 10_000


class Registration:
    """The entry of one worker. ``report`` says how it is at the moment."""

    def __init__(
        self,
        register: Register,
        lifecycle: Lifecycle,
        report: Callable[[], WorkerReport],
        *,
        clock: Clock,
    ) -> None:
        self._register = register
        self._lifecycle = lifecycle
        self._report = report
        self._clock = clock
        self._answers = True

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Announce the worker while inside. Whoever leaves by an error stays to be seen until the report
        expires; everybody else is withdrawn.
        """
        beating = asyncio.create_task(self._beat_forever(), name="registration")
        failed = True
        try:
            yield
            failed = False
        except (asyncio.CancelledError, GeneratorExit):
            failed = False
            raise
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await self._say_last(failed=failed)

    async def _beat_forever(self) -> None:
        while True:
            self._lifecycle.changed.clear()
            await self._announce()
            pause = asyncio.ensure_future(self._clock.sleep(self._register.beat_s))
            changed = asyncio.ensure_future(self._lifecycle.changed.wait())
            try:
                await asyncio.wait((pause, changed), return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
                changed.cancel()

    async def _say_last(self, *, failed: bool) -> None:
        registry = self._register.registry
        try:
            async with asyncio.timeout(_LAST_WORD_S):
                if failed:
                    await self._announce()
                else:
                    await registry.withdraw(self._report().id)
        except (RetriableError, TimeoutError) as error:
            _log.debug("worker.not_announced", error=str(error))

    async def _announce(self) -> None:
        """A report that does not arrive is made up for by the next."""
        at = self._register
        try:
            await at.registry.announce(self._report(), ttl_ms=at.ttl_ms)
        except RetriableError as error:
            if self._answers:
                _log.warning("worker.not_announced", error=str(error))
            self._answers = False
        else:
            self._answers = True


def report_of(
    lifecycle: Lifecycle,
    identity: Identity,
    *,
    id: str,  # noqa: A002 - the report calls it so
    service: str,
    seen_at_ms: int,
    partitions: Collection[TopicPartition],
    in_flight: int,
    health: Health,
) -> WorkerReport:
    """How a worker is."""
    by_topic: dict[str, tuple[int, ...]] = {}
    for topic, number in sorted(partitions):
        by_topic[topic] = (*by_topic.get(topic, ()), number)
    return WorkerReport(
        id=id,
        service=service,
        version=identity.version,
        tags=identity.tags,
        host=identity.host,
        pid=identity.pid,
        started_at_ms=lifecycle.started_at_ms,
        seen_at_ms=seen_at_ms,
        state=lifecycle.state,
        partitions=by_topic,
        in_flight=in_flight,
        health=health.condition.value,
        reason=health.reason,
        last_error=lifecycle.last_error,
    )
