"""Transactions whose troubles are told apart: the database's from the caller's.

Owns which errors of a driver mean "the database did not answer, try again".
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sagas.ports import JournalUnavailable

__all__ = ["Transaction", "as_unavailable", "transaction"]

_SQLSTATES: Final = (
    "08",  # connection exceptions
    "25006",  # read-only: a standby after a failover
    "40",  # serialization failure, deadlock, completion unknown
    "53",  # out of connections, memory, disk
    "55P03",  # lock timeout
    "57P",  # shutting down, starting up
    "58",  # errors of the system below
)
_SQLITE_CODES: Final = frozenset(
    {
        5,  # BUSY: another process holds the write lock
        6,  # LOCKED
        10,  # IOERR
        13,  # FULL
        14,  # CANTOPEN
    }
)


@dataclass(slots=True)
class Transaction:
    """A transaction under way. ``foreign`` while code runs in it that is not the adapter's own."""

    connection: AsyncConnection
    foreign: bool = False


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[Transaction]:
    """Begin; commit at the end, roll back after any error.

    Raises JournalUnavailable where the database was away, locked or gave up for another's sake,
    also if a caller's statement met it. After that, whether a commit took place is not known. Every
    other error of a caller's code passes as it is.
    """
    begun: Transaction | None = None
    try:
        async with engine.begin() as connection:
            begun = Transaction(connection)
            yield begun
    except Exception as error:
        foreign = begun is not None and begun.foreign
        raised = as_unavailable(engine, error, begun=begun is not None, foreign=foreign)
        if raised is error:
            raise
        raise raised from error


def as_unavailable(
    engine: AsyncEngine, error: Exception, *, begun: bool, foreign: bool = False
) -> Exception:
    """JournalUnavailable if the error says that of the database, else the error itself.

    Both SQLAlchemy's errors and the driver's own are known. ``begun`` says that something may have
    been committed; ``foreign``, that the error came out of a caller's code, whose errors of a
    socket or of a pool may be those of something else.
    """
    if isinstance(error, OSError | PoolTimeout):
        # asyncpg lets the socket's errors through; so may a caller's own client of something else.
        return error if foreign else _unavailable(engine, error, begun=begun)
    if isinstance(error, DBAPIError):
        is_trouble = error.connection_invalidated or _is_trouble(error.orig)
    else:
        is_trouble = not foreign and (_is_trouble(error) or _is_of_lost_connection(error))
    return _unavailable(engine, error, begun=begun) if is_trouble else error


def _is_of_lost_connection(error: Exception) -> bool:
    """An InterfaceError of asyncpg: the connection is closed, or was lost in the middle."""
    return type(error).__module__.startswith("asyncpg") and not hasattr(error, "sqlstate")


def _is_trouble(error: BaseException | None) -> bool:
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate.startswith(_SQLSTATES)
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in _SQLITE_CODES


def _unavailable(engine: AsyncEngine, error: Exception, *, begun: bool) -> JournalUnavailable:
    address = engine.url.render_as_string(hide_password=True)
    reason = getattr(error, "orig", None) or error
    unknown = "Whether the transaction took place is not known: run it again. " if begun else ""
    return JournalUnavailable(
        f"The database {address} did not answer as it should ({type(reason).__name__}: {reason}). "
        f"{unknown}If this stays, see that it runs, is reachable from here, and that no transaction "
        "holds its locks for long."
    )
