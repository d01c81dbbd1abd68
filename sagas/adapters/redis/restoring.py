"""Markers, the lease on rebuilding, and rows that are put back: what the table on Redis does about loss.

Owns the markers' text and the arguments of the scripts that guard them. Decides nothing: who rebuilds
what, and from where, is the runtime's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, NoReturn

import structlog

from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.members import member_of
from sagas.adapters.redis.scripts import Script, script
from sagas.adapters.redis.server import ServerLog
from sagas.core.instance import SagaStatus
from sagas.ports import BUCKETS, RowChange, bucket_of
from sagas.restoring import Marker, TableLost, TableRebuilding

__all__ = ["RedisRestoring", "Restoring", "marker_of", "unready"]

_log = structlog.get_logger(__name__)

_ENDED = tuple(status for status in SagaStatus if status.is_terminal)


Run = Callable[[Script, Sequence[bytes | str | int]], Awaitable[Any]]
"""Runs a script on the server."""

Call = Callable[..., Awaitable[Any]]
"""Sends a command to the server."""


class Restoring:
    """The part of ``RestorableTable`` that the hot path does not use. ``identity`` is the server's, as of
    the latest connection.
    """

    def __init__(self, keys: Keys, run: Run, call: Call, address: str) -> None:
        self.identity = "unknown"
        self._keys = keys
        self._run = run
        self._call = call
        self.address = address

    async def markers(self, saga: str) -> Sequence[Marker | None]:
        """One command for each bucket."""
        texts = await asyncio.gather(*(self._call("HGET", key, saga) for key in self._keys.markers))
        return [marker_of(text) for text in texts]

    async def lease(self, saga: str, token: str, *, ttl_ms: int) -> bool:
        """Take or keep the lease."""
        arguments: list[bytes | str | int] = [1, self._keys.lease(saga), token, ttl_ms]
        return bool(await self._run(script("lease"), arguments))

    async def begin(self, saga: str, buckets: Collection[int], token: str) -> int:
        """Mark the buckets as being rebuilt."""
        marked = await asyncio.gather(*(self._marker(one, "begin", token, saga) for one in buckets))
        return max(map(int, marked), default=0)

    async def finish(
        self, saga: str, buckets: Collection[int], token: str, generation: int
    ) -> bool:
        """Mark the buckets as ready."""
        ready = await asyncio.gather(
            *(self._marker(one, "finish", token, saga, generation) for one in buckets)
        )
        return all(ready)

    async def _marker(self, bucket: int, what: str, *more: str | int) -> int:
        arguments: list[bytes | str | int] = [1, self._keys.markers[bucket], what]
        arguments += [self.identity, *more]
        reply: int = await self._run(script("marker"), arguments)
        return reply

    async def restore(self, change: RowChange, token: str) -> bool:
        """Put a whole row in place."""
        row, index = self._keys.instance(change.saga, change.saga_id)
        bucket = bucket_of(change.saga_id)
        names = change.saga, change.saga_id
        arguments: list[bytes | str | int] = [
            *(4, row, index + change.status, self._keys.markers[bucket], self._keys.timers[bucket]),
            *(token, f"{change.stamp[0]}:{change.stamp[1]}", change.token, change.status),
            *(change.state, change.at_ms, change.saga_id, index),
            *(len(SagaStatus), len(change.timers_cleared), len(change.timers_set), change.saga),
            change.content,
            *SagaStatus,
            *(member_of(*names, name) for name in change.timers_cleared),
        ]
        for name, due_ms in change.timers_set.items():
            arguments += [due_ms, member_of(*names, name)]
        for slot, event in change.events.items():
            arguments += [f"e:{slot}", event]
        return bool(await self._run(script("restore"), arguments))

    async def saga_ids(self, saga: str, bucket: int) -> Sequence[str]:
        """What the bucket's indexes list."""
        _, index = self._keys.of_saga(saga)[bucket]
        replies = await asyncio.gather(
            *(self._call("ZRANGE", index + status, 0, -1) for status in SagaStatus)
        )
        return list(dict.fromkeys(one.decode() for reply in replies for one in reply))

    async def sweep(self, saga: str, *, before_ms: int, limit: int) -> int:
        """Forget what has ended before that moment."""
        swept = await asyncio.gather(
            *(
                self._run(script("sweep"), [1, index + status, before_ms, limit, row])
                for row, index in self._keys.of_saga(saga)
                for status in _ENDED
            )
        )
        return sum(map(int, swept))

    async def look(self, saga: str, bucket: int) -> int:
        """The generation of a bucket. Raises TableLost, TableRebuilding."""
        marker = marker_of(await self._call("HGET", self._keys.markers[bucket], saga))
        if marker is None or marker.token is not None:
            unready(saga, lost=marker is None, bucket=bucket, address=self.address)
        return marker.generation


class RedisRestoring:
    """What a table on Redis does about loss, for ``RedisSagaTable`` to inherit."""

    def __init__(self, restoring: Restoring) -> None:
        self._restoring = restoring
        self._generations: dict[tuple[str, int], int] = {}

    async def _look(self, saga: str, saga_id: str) -> None:
        """Keep the generation of the bucket of an instance without a row. Raises TableLost and
        TableRebuilding.
        """
        bucket = bucket_of(saga_id)
        self._generations[saga, bucket] = await self._restoring.look(saga, bucket)

    def generation(self, saga: str, saga_id: str) -> int:
        """The generation that the last load without a row has seen in the bucket."""
        return self._generations.get((saga, bucket_of(saga_id)), 1)

    async def markers(self, saga: str) -> Sequence[Marker | None]:
        """The marker of each bucket; not one snapshot."""
        return await self._restoring.markers(saga)

    async def lease(self, saga: str, token: str, *, ttl_ms: int) -> bool:
        """Take or keep the lease; it ends by the server's clock."""
        return await self._restoring.lease(saga, token, ttl_ms=ttl_ms)

    async def release(self, saga: str, token: str) -> None:
        """Give the lease back."""
        await self._restoring.lease(saga, token, ttl_ms=0)

    async def begin_rebuild(self, saga: str, buckets: Collection[int], token: str) -> int:
        """Mark the buckets as being rebuilt, one Lua call for each."""
        return await self._restoring.begin(saga, buckets, token)

    async def restore(self, change: RowChange, token: str) -> bool:
        """Put a whole row in place in one Lua call."""
        return await self._restoring.restore(change, token)

    async def finish_rebuild(
        self, saga: str, buckets: Collection[int], token: str, generation: int
    ) -> bool:
        """Mark the buckets as ready, one Lua call for each."""
        return await self._restoring.finish(saga, buckets, token, generation)

    async def saga_ids(self, saga: str, bucket: int) -> Sequence[str]:
        """What the bucket's indexes list; not one snapshot."""
        return await self._restoring.saga_ids(saga, bucket)

    async def sweep(self, saga: str, *, before_ms: int, limit: int) -> int:
        """Forget what has ended before that moment; one Lua call for each bucket and status."""
        return await self._restoring.sweep(saga, before_ms=before_ms, limit=limit)

    def _connected(self, identity: str, lost: int) -> None:
        self._restoring.identity = identity
        if lost:
            _log.warning(
                ServerLog.SERVER_CHANGED,
                address=self._restoring.address,
                markers=lost,
                now=identity,
            )


def unready(saga: str, *, lost: bool, bucket: int, address: str) -> NoReturn:
    """Raise what a bucket's marker, or the lack of one, means."""
    if lost:
        raise TableLost(
            f"The saga table on Redis at {address} has lost bucket {bucket} of {BUCKETS} of {saga}, or "
            "never had it: there is no marker, or the server was restarted. Running workers rebuild it "
            "from the topics; without any, `sagas rebuild` does."
        )
    raise TableRebuilding(
        f"Bucket {bucket} of {saga} in the saga table on Redis at {address} is being rebuilt from "
        "the topics: wait."
    )


@lru_cache(maxsize=1024)
def marker_of(text: bytes | None) -> Marker | None:
    """The marker in words of the port; None for one that says that the bucket is lost."""
    kind, *rest = (text or b"").decode().split(" ")
    if kind == "ready":
        return Marker(int(rest[0]))
    return Marker(int(rest[0]), rest[2]) if kind == "rebuilding" else None
