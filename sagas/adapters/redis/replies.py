"""The replies of a pipeline, taken from the parser of their connection as they have come.

redis-py awaits two coroutines for a reply that has long been received with those before it: 2 us of each
command. By private names: ``tests/contract/table/test_redis_batches.py`` sees that it is the same. Where the
parser is another one, redis-py is asked for each reply. Owns nothing.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hiredis import PushNotification, Reader
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

try:
    from redis._parsers.hiredis import NOT_ENOUGH_DATA
except ImportError:  # another version of redis-py
    NOT_ENOUGH_DATA = None

__all__ = ["USUAL", "received_on", "settled"]

USUAL = frozenset({int, bytes, list, dict, type(None)})
"""The types of replies that are what was asked for, and nothing else."""


def received_on(connection: AbstractConnection) -> Callable[[], Any]:
    """What takes the next reply from those that have come; of another type than the usual ones if none has,
    or if it is for ``settled`` to say. Good until the connection breaks.
    """
    reader = getattr(connection._parser, "_reader", None)
    if isinstance(reader, Reader) and NOT_ENOUGH_DATA is not None:
        return reader.gets
    return lambda: _ASK


_ASK = object()


async def settled(connection: AbstractConnection, found: Any) -> Any:
    """The next reply after all: it is waited for, or what else came before it is left to redis-py.

    A refusal of the command is returned, not raised. Raises redis-py's ConnectionError.
    """
    if isinstance(found, PushNotification):
        parser: Any = connection._parser
        await parser.handle_push_response(found)
    elif isinstance(found, RedisConnectionError):
        raise found
    elif found is not NOT_ENOUGH_DATA and found is not _ASK:
        return found
    try:
        # An infinite timeout spares a timer per reply: the whole pipeline has one.
        return await connection.read_response(timeout=math.inf)
    except ResponseError as refused:
        return refused
