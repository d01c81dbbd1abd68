"""What a Redis server must be like to hold the saga table, checked once when the table starts."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import structlog
from redis.exceptions import ResponseError

from sagas.adapters.redis.batches import Batches
from sagas.core.errors import SettingsError

__all__ = ["ServerLog", "check_fsync", "check_server"]

_log = structlog.get_logger(__name__)


class ServerLog(StrEnum):
    """What is logged here."""

    NO_PERSISTENCE = "table.no_persistence"
    SERVER_CHANGED = "table.server_changed"


async def check_server(batches: Batches, address: str) -> None:
    """Refuse a server that may evict keys; warn about one that forgets all at a restart.

    Managed servers forbid CONFIG: what INFO tells is taken instead. Raises SettingsError and
    redis-py's errors.
    """
    policy = await _setting(batches, "maxmemory-policy")
    if policy is None:
        policy = await _info(batches, "memory", "maxmemory_policy")
    if policy is not None and policy != "noeviction":
        raise SettingsError(
            f"Redis at {address} has maxmemory-policy {policy!r}: it may drop saga instances when "
            "its memory is full. The saga table needs 'noeviction'. Set it with "
            "`redis-cli CONFIG SET maxmemory-policy noeviction` and in redis.conf."
        )
    append_only = await _setting(batches, "appendonly")
    if append_only is None:
        append_only = "yes" if await _info(batches, "persistence", "aof_enabled") == "1" else "no"
    save = await _setting(batches, "save")
    if append_only == "no" and not save:
        await _log.awarning(
            ServerLog.NO_PERSISTENCE,
            address=address,
            seen=f"appendonly {append_only}, save {'unknown' if save is None else 'empty'}",
            wanted="appendonly yes",
            consequence="after a restart of Redis every saga instance is rebuilt from Kafka",
            remedy="redis-cli CONFIG SET appendonly yes, and the same in redis.conf",
        )


async def check_fsync(batches: Batches, address: str) -> None:
    """Refuse a server that can not say when a write is on its disk. Raises SettingsError."""
    try:
        await batches.call("WAITAOF", 1, 0, 1)
    except ResponseError as error:
        raise SettingsError(
            f"SAGAS_DURABILITY is fsync, but Redis at {address} can not say when a write is on its disk "
            f"({error}). It needs WAITAOF, which came with Redis 7.2 and is in Valkey, and "
            "`appendonly yes`. Use such a server, or SAGAS_DURABILITY=server."
        ) from error


async def _setting(batches: Batches, name: str) -> str | None:
    """What CONFIG says, or None where the server does not allow to ask."""
    try:
        reply: Any = await batches.call("CONFIG", "GET", name)
    except ResponseError:
        return None
    # A dictionary in RESP3, a flat list in RESP2.
    values = list(reply.values()) if isinstance(reply, dict) else list(reply)[1::2]
    return values[0].decode() if values else None


async def _info(batches: Batches, section: str, name: str) -> str | None:
    try:
        reply: Any = await batches.call("INFO", section)
    except ResponseError:
        return None
    text = reply.decode() if isinstance(reply, bytes) else str(reply)
    found = re.search(rf"^{name}:(\S+)", text, re.MULTILINE)
    return found[1] if found else None
