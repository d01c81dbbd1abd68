"""What an error of redis-py means to those who use the table, in words. Never talks to Redis."""

from __future__ import annotations

from typing import Final, NoReturn

from redis.exceptions import ResponseError

from sagas.core.errors import ContractViolation
from sagas.ports import TableUnavailable

__all__ = ["WRITING", "failed", "unavailable"]

WRITING: Final = frozenset({"EVALSHA", "EVAL"})
"""The commands that change anything; the others only look."""
_OF_ONE_KEY: Final = frozenset({"HGETALL", "HMGET"})


def failed(error: Exception, command: tuple[bytes | str | int, ...], address: str) -> NoReturn:
    """Raise TableUnavailable, or ContractViolation where a key of the table's holds something else."""
    if not isinstance(error, ResponseError) or not str(error).startswith("WRONGTYPE"):
        unavailable(error, address, writing=command[0] in WRITING)
    raise ContractViolation(
        f"The saga table on Redis at {address} is damaged: a key of its own"
        f"{f', {command[1]!s},' if command[0] in _OF_ONE_KEY else ''} holds something else "
        f"({error}). Delete it; `sagas rebuild` puts back what is missing from Kafka."
    ) from error


def unavailable(error: Exception, address: str, *, writing: bool) -> NoReturn:
    """Raise TableUnavailable."""
    unknown = "Whether the write took place is not known: send it again. " if writing else ""
    raise TableUnavailable(
        f"Redis at {address} did not answer as it should "
        f"({type(error).__name__}: {error}). {unknown}If this stays, see that the server runs, "
        "is reachable from here and may write."
    ) from error
