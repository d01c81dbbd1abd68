"""Many Redis commands in one round trip, as cheaply as redis-py's connections allow.

Its own pipelines pack commands in Python and set a timer for every reply: half of what a step costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, Connection

__all__ = ["Command", "RedisBatches"]

Command = tuple[bytes | str | int, ...]


class RedisBatches:
    """Each batch has a connection to itself. Commands must be safe to repeat; errors are raised."""

    def __init__(self, url: str, *, connections: int) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url, max_connections=connections, socket_timeout=None, protocol=3
        )

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands and return their replies in order."""
        connection: Connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        packed = [pack_command(command) for command in commands]  # type: ignore[arg-type]
        try:
            await connection.send_packed_command([b"".join(packed)])
            return [await connection.read_response(timeout=math.inf) for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)  # unread replies would go to the next batch
            raise
        finally:
            await self._pool.release(connection)

    async def stop(self) -> None:
        """Close the connections."""
        await self._pool.aclose()
