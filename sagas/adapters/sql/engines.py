"""Engines with the settings that a journal needs.

Owns what SQLite and PostgreSQL must be told at each connection. Opens no connection by itself: the
first transaction does.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import URL, AsyncAdaptedQueuePool, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from sagas.core.errors import SettingsError

__all__ = ["open_engine"]

_DRIVERS: Final = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
_CONNECT_TIMEOUT_S: Final = 5


def open_engine(
    url: str,
    *,
    schema: str | None = None,
    connections: int = 10,
    lock_timeout_ms: int = 5_000,
) -> AsyncEngine:
    """An engine for ``postgresql://…`` or ``sqlite:///file``; drivers are filled in.

    ``schema`` (PostgreSQL only) becomes the search path of every connection, so that each service
    can live in a schema of its own; ``create_tables`` creates it. ``lock_timeout_ms`` bounds the
    wait for rows that another transaction holds, the journal's among them. Raises SettingsError.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        if schema is not None:
            raise SettingsError(
                f"SQLite has no schema {schema!r}, nor any other: give the service its own file."
            )
        return _sqlite(parsed, connections=connections, lock_timeout_ms=lock_timeout_ms)
    settings = {"lock_timeout": str(lock_timeout_ms)}
    if schema is not None:
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", schema):
            raise SettingsError(
                f"{schema!r} is not usable as a schema: small letters, digits and underscores are."
            )
        settings["search_path"] = schema
    return create_async_engine(
        parsed,
        pool_size=connections,
        max_overflow=0,
        connect_args={"server_settings": settings, "timeout": _CONNECT_TIMEOUT_S},
    )


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # What was given may hold a password, so it is not repeated.
        raise SettingsError(
            "The database's address is not a URL such as postgresql://user:password@host/name."
        ) from None
    backend = parsed.get_backend_name()
    if backend not in _DRIVERS:
        raise SettingsError(
            f"The journal works on PostgreSQL and SQLite; {backend!r} was asked for."
        )
    return parsed.set(drivername=_DRIVERS[backend])


def _sqlite(url: URL, *, connections: int, lock_timeout_ms: int) -> AsyncEngine:
    in_memory = url.database in {None, "", ":memory:"}
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        # A database in memory lives in its connection, so there is one, used by one at a time.
        pool_size=1 if in_memory else connections,
        max_overflow=0,
        connect_args={"timeout": lock_timeout_ms / 1000},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by itself, late and deferred.
        setattr(connection, "isolation_level", None)  # noqa: B010 - the protocol does not name it
        cursor: Any = connection.cursor()
        # Readers and the writer do not wait for each other. `synchronous` stays FULL: an outcome
        # that was announced must survive a power cut.
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        # A deferred transaction that reads first and writes later fails with "locked" at once,
        # however long the timeout. Taking the write lock at the beginning waits for it instead.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
