"""Engines with the settings that a journal needs.

Owns what SQLite and PostgreSQL must be told at each connection. Opens no connection by itself: the
first transaction does.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from typing import Any, Final

import aiosqlite
from sqlalchemy import URL, AsyncAdaptedQueuePool, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from sagas.core.errors import SettingsError

__all__ = ["open_engine"]

_DRIVERS: Final = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
_CONNECT_TIMEOUT_S: Final = 5
_WAL_PAUSE_S: Final = 0.01


def open_engine(
    url: str,
    *,
    schema: str | None = None,
    connections: int = 10,
    lock_timeout_ms: int = 5_000,
) -> AsyncEngine:
    """An engine for ``postgresql://…`` or ``sqlite:///file``; drivers are filled in.

    ``schema`` (PostgreSQL only) becomes the search path of every connection, so that each service
    can live in a schema of its own; ``create_tables`` creates it. ``connections`` bounds the pool, which
    on PostgreSQL has one more, for the journal's claims; SQLite, which has one writer, gets five at
    most, and is best served by one. ``lock_timeout_ms`` bounds the wait for rows
    that another transaction holds, the journal's among them. Raises SettingsError.
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
        pool_size=connections + 1,
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
        # A database in memory lives in its connection, so there is one, used by one at a time. For
        # a file, two keep the one writer busy; more only poll for its lock, and some of them
        # starve.
        pool_size=1 if in_memory else min(connections, 5),
        max_overflow=0,
        connect_args={"timeout": lock_timeout_ms / 1000},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _entry: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by itself, late and deferred.
        connection.isolation_level = None
        connection.run_async(lambda driver: _prepare(driver, patience_s=lock_timeout_ms / 1000))

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        # A deferred transaction that reads first and writes later fails with "locked" at once,
        # however long the timeout. Taking the write lock at the beginning waits for it instead.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


async def _prepare(connection: aiosqlite.Connection, *, patience_s: float) -> None:
    async with connection.execute("PRAGMA foreign_keys = ON"):
        pass
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience_s
    while True:
        try:
            # Readers and the writer do not wait for each other. `synchronous` stays FULL: an
            # outcome that was announced must survive a power cut.
            async with connection.execute("PRAGMA journal_mode = WAL"):
                return
        except sqlite3.OperationalError:
            # The first ones to open a new file meet here, and SQLite's own timeout is not for this.
            if loop.time() > give_up_at:
                raise
            await asyncio.sleep(_WAL_PAUSE_S)
