"""What a user of the saga table may do on Redis, and no more. The only place that knows the commands' list.

A user sees the rows and indexes of its own sagas. Timers and markers are the namespace's: whoever takes
part in one of its sagas shares them. So is the register of workers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.settings import Durability

__all__ = ["acl_rules"]

_CONNECTING = (
    "hello",
    "auth",
    "select",
    "info",
    "script|load",
    "eval",
    "evalsha",
)
_ROWS = ("hget", "hmget", "hgetall", "hset", "hdel", "del")
_INDEXES = ("zadd", "zrem", "zrange", "zscore", "zcard", "zcount")
_LEASE = ("get", "set")
_REGISTER = ("pexpire",)

_BUCKET = re.compile(r"\{b\d+\}")
_ANY_BUCKET = "{b[0-9][0-9][0-9]}"
_SPACE = re.compile(r"\s", re.ASCII)
"""Rules have none: a pattern says that some character stands there."""


def acl_rules(namespace: str, sagas: Iterable[str], durability: Durability = "server") -> list[str]:
    """The rules of ``ACL SETUSER`` after the user's name and password. Raises ContractViolation.

    ``fsync`` needs a server that knows WAITAOF; others refuse a rule that names it.
    """
    keys = Keys(namespace)
    patterns = [_pattern(keys.markers[0]), _pattern(keys.timers[0])]
    patterns += [_pattern(keys.workers), _pattern(keys.worker("")) + "*"]
    for saga in sagas:
        row, index = keys.of_saga(saga)[0]
        patterns += [_pattern(row) + "*", _pattern(index) + "*", _pattern(keys.lease(saga))]
        patterns.append(_pattern(keys.definitions(saga)))
    commands = [*_CONNECTING, *_ROWS, *_INDEXES, *_LEASE, *_REGISTER]
    if durability == "fsync":
        commands.append("waitaof")
    return [*(f"~{pattern}" for pattern in patterns), *(f"+{command}" for command in commands)]


def _pattern(key: str) -> str:
    """A key as a glob; its bucket may be any."""
    parts = [re.sub(r"([*?\[\]\\])", r"\\\1", part) for part in _BUCKET.split(key)]
    return _ANY_BUCKET.join(_SPACE.sub("?", part) for part in parts)
