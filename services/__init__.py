"""The reference microservices, one folder each, and what little they have in common.

Owns how a service of this system finds its own database. A service knows the others by their events
only, and never opens their tables.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Table, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sagas.adapters.sql import SqlTables, create_tables, open_engine
from sagas.adapters.sql.transactions import transaction

__all__ = ["ServiceSettings", "first_rows", "insert_new", "open_database"]


class ServiceSettings(BaseSettings):
    """Where a service keeps its data. Read from the environment: ``SAGAS_DATABASE`` and so on.

    Without a ``database`` (a URL of PostgreSQL or SQLite) it is a file in ``data_dir``. On
    PostgreSQL a service works in a schema of its own, named like itself unless
    ``database_schema`` says otherwise.
    """

    model_config = SettingsConfigDict(env_prefix="SAGAS_", extra="ignore", frozen=True)

    service: ClassVar[str]

    database: SecretStr | None = None
    database_schema: str | None = None
    database_connections: int = 5
    data_dir: Path = Path("data")

    def engine(self) -> AsyncEngine:
        """The engine of the service's own database; it connects when it is first used."""
        file = f"sqlite:///{self.data_dir / self.service}.db"
        url = file if self.database is None else self.database.get_secret_value()
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
            # There is one writer at a time: a queue of ours is fairer than SQLite's lock.
            return open_engine(url, connections=1)
        schema = self.database_schema or self.service
        return open_engine(url, schema=schema, connections=self.database_connections)


@asynccontextmanager
async def open_database(settings: ServiceSettings, tables: SqlTables) -> AsyncIterator[AsyncEngine]:
    """The service's database with all its tables in place, closed at the end.

    Raises JournalUnavailable if it does not answer.
    """
    engine = settings.engine()
    try:
        await create_tables(engine, tables)
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def first_rows(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction for what a service stores before it works.

    Raises JournalUnavailable if the database does not answer: the service is started again then.
    """
    async with transaction(engine) as begun:
        yield begun.connection


def insert_new(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that leaves a row alone that is there already; its ``rowcount`` tells which."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()
