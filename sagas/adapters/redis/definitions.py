"""The book of definitions on the Redis server that has the saga table.

Owns one hash for each saga, ``{namespace}:{b000}:definitions:<saga>``: fingerprint to definition. Connects
for each call, because there are a few when a worker starts and none afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.ports import TableUnavailable

__all__ = ["RedisDefinitionBook"]


class RedisDefinitionBook:
    """A ``DefinitionBook`` on Redis."""

    def __init__(self, settings: RedisTableSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.namespace)

    async def kept(self, saga: str) -> Mapping[str, bytes]:
        """The definitions of a saga by fingerprint. Raises TableUnavailable."""
        found: dict[bytes, bytes] = await self._call("HGETALL", self._keys.definitions(saga))
        return {name.decode(errors="replace"): kept for name, kept in found.items()}

    async def keep(self, saga: str, fingerprint: str, definition: bytes) -> None:
        """Write one down. Raises TableUnavailable."""
        await self._call("HSET", self._keys.definitions(saga), fingerprint, definition)

    async def forget(self, saga: str, fingerprint: str) -> None:
        """Strike one out. Raises TableUnavailable."""
        await self._call("HDEL", self._keys.definitions(saga), fingerprint)

    async def _call(self, *command: str | bytes) -> Any:
        """Safe to send again: the client does after a lost connection."""
        timeout_s = self._settings.timeout_ms / 1000
        redis = Redis.from_url(
            self._settings.url.get_secret_value(),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), self._settings.attempts - 1),
            protocol=3,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        try:
            return await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise TableUnavailable(
                f"Redis at {self._settings.address} does not answer ({type(error).__name__}: {error})."
            ) from error
        finally:
            await redis.aclose()
