"""Which server answers, asked on every new connection before any command of the table goes out.

A server that was restarted may lack the last second of confirmed writes, one that took over more. redis-py
connects and sends again by itself, so this is the only place that no command can slip past.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.scripts import script

__all__ = ["UNKNOWN", "on_connect"]

UNKNOWN = "unknown"
"""The identity of a server that does not say it: INFO is forbidden there."""

_IDENTITY = re.compile(r"^(run_id|master_replid):(\S+)", re.MULTILINE)


def on_connect(
    keys: Keys, told: Callable[[str, int], None]
) -> Callable[[AbstractConnection], Awaitable[None]]:
    """What redis-py is to do with a new connection: its own greeting, then the look at the identity.

    Buckets that another server has confirmed are declared lost; ``told`` gets the identity and how many
    those were.
    """

    async def connected(connection: AbstractConnection) -> None:
        await connection.on_connect()
        identity = await _identity(connection)
        condemn = script("condemn").text
        count = str(len(keys.markers))
        lost = await _ask(connection, "EVAL", condemn, count, *keys.markers, identity)
        told(identity, lost)

    return connected


async def _identity(connection: AbstractConnection) -> str:
    """The process and its history of replication: a replica that is filled anew keeps its process."""
    try:
        texts = [await _ask(connection, "INFO", section) for section in ("server", "replication")]
    except ResponseError:
        return UNKNOWN
    text = "\n".join(one.decode() if isinstance(one, bytes) else str(one) for one in texts)
    return "/".join(value for _, value in _IDENTITY.findall(text)) or UNKNOWN


async def _ask(connection: AbstractConnection, *command: bytes | str) -> Any:
    packed: Any = pack_command(command)  # type: ignore[arg-type]  # the stub knows one argument only
    await connection.send_packed_command([packed])
    return await connection.read_response()
