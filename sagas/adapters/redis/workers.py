"""The register of workers on the Redis server that has the saga table.

Owns ``{namespace}:{b000}:worker:<id>``, one report as JSON that Redis forgets by itself, and the sorted set
``{namespace}:{b000}:workers`` of their ids by when they were announced last. Has a connection of its own: a
beat waits for no pipeline of the table, and holds none up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.ports import TableUnavailable
from sagas.ports.workers import WORKERS_MAX, WorkerReport

__all__ = ["RedisWorkerRegistry"]

_INDEX_MS = 24 * 3_600_000
"""Of a namespace in which nobody works any more nothing stays."""

_Command = tuple[str | bytes | int, ...]


class RedisWorkerRegistry:
    """A ``WorkerRegistry`` on Redis. Connects with its first call."""

    def __init__(self, settings: RedisTableSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.namespace)
        self._redis: Redis | None = None

    async def announce(self, report: WorkerReport, *, ttl_ms: int) -> None:
        """Keep this report for so long. Raises TableUnavailable."""
        text = report.model_dump_json()
        await self._call(
            ("SET", self._keys.worker(report.id), text, "PX", ttl_ms),
            ("ZADD", self._keys.workers, report.seen_at_ms, report.id),
            ("PEXPIRE", self._keys.workers, max(ttl_ms, _INDEX_MS)),
        )

    async def withdraw(self, worker_id: str) -> None:
        """Forget the worker. Raises TableUnavailable."""
        await self._call(
            ("DEL", self._keys.worker(worker_id)), ("ZREM", self._keys.workers, worker_id)
        )

    async def workers(self) -> Sequence[WorkerReport]:
        """The reports that are there. Raises TableUnavailable.

        Ids whose report has expired are struck out: a worker that is slow and not dead comes back with its
        next beat.
        """
        (found,) = await self._call(("ZRANGE", self._keys.workers, 0, WORKERS_MAX - 1, "REV"))
        ids = [id_.decode(errors="replace") for id_ in found]
        if not ids:
            return []
        texts = await self._call(*(("GET", self._keys.worker(id_)) for id_ in ids))
        gone = [id_ for id_, text in zip(ids, texts, strict=True) if text is None]
        if gone:
            await self._call(("ZREM", self._keys.workers, *gone))
        read = (_read(text) for text in texts if text is not None)
        there = (report for report in read if report is not None)
        return sorted(there, key=lambda one: (one.service, one.started_at_ms, one.id))

    async def stop(self) -> None:
        """Close the connection. Safe to repeat."""
        redis, self._redis = self._redis, None
        if redis is not None:
            await redis.aclose()

    async def _call(self, *commands: _Command) -> list[Any]:
        """The replies, in one way there and back. Safe to send again: the client does."""
        pipeline = self._connected().pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            replies: list[Any] = await pipeline.execute()
        except (RedisError, OSError) as error:
            raise TableUnavailable(
                f"Redis at {self._settings.address} does not answer ({type(error).__name__}: {error})."
            ) from error
        return replies

    def _connected(self) -> Redis:
        if self._redis is None:
            timeout_s = self._settings.timeout_ms / 1000
            # All services of a process share it, and speak at once when they start and stop: who finds
            # no connection free waits for one.
            pool = BlockingConnectionPool.from_url(
                self._settings.url.get_secret_value(),
                max_connections=2,
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), self._settings.attempts - 1),
                protocol=3,
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
            )
            self._redis = Redis.from_pool(pool)
        return self._redis


def _read(text: bytes) -> WorkerReport | None:
    try:
        return WorkerReport.model_validate_json(text)
    except ValidationError:  # of another version, or nobody's of ours
        return None
