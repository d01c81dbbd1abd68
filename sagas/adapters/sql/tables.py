"""The tables of journal and outbox, as SQLAlchemy Core metadata.

A service that keeps its own migrations includes ``SqlTables().metadata`` in them; the others call
``create_tables`` when they start. Nothing here alters or drops a table that exists.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import CreateSchema

from sagas.adapters.sql.transactions import transaction

__all__ = ["SqlTables", "create_tables"]

_CREATION_LOCK: Final = 0x5A6A5
"""PostgreSQL's `IF NOT EXISTS` is no protection against another process that creates the same."""


class SqlTables:
    """The journal and the outbox, named with a prefix and, where given, in a schema."""

    def __init__(self, *, prefix: str = "sagas_", schema: str | None = None) -> None:
        self.metadata = MetaData(schema=schema)
        self.journal = Table(
            f"{prefix}journal",
            self.metadata,
            Column("saga", Text, primary_key=True),
            Column("saga_id", Text, primary_key=True),
            Column("step", Text, primary_key=True),
            Column("direction", Text, primary_key=True),
            Column("epoch", Integer, primary_key=True, autoincrement=False),
            Column("kind", Text, nullable=False),  # sagas.adapters.sql.journal.Kind
            Column("type", Text),
            Column("payload", LargeBinary),
            Column(
                "created_at", DateTime(timezone=True), nullable=False, server_default=func.now()
            ),
            # By their age rows are found that nobody needs any more.
            Index(f"{prefix}journal_created_at", "created_at"),
            sqlite_with_rowid=False,
        )
        self.outbox = Table(
            f"{prefix}outbox",
            self.metadata,
            Column(
                "id",
                BigInteger().with_variant(Integer(), "sqlite"),
                Identity(always=True),
                primary_key=True,
            ),
            Column("topic", Text, nullable=False),
            Column("key", LargeBinary),
            Column("value", LargeBinary),
            Column("headers", Text, nullable=False),
            Column(
                "created_at", DateTime(timezone=True), nullable=False, server_default=func.now()
            ),
            sqlite_autoincrement=True,  # no id comes twice: ids are the order
        )


async def create_tables(engine: AsyncEngine, tables: SqlTables | None = None) -> None:
    """Create what is missing: tables, and on PostgreSQL the schema they belong to.

    Safe to repeat, and safe in several processes at once. Raises JournalUnavailable.
    """
    tables = tables or SqlTables()
    async with transaction(engine) as begun:
        connection = begun.connection
        if connection.dialect.name == "postgresql":
            await connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
            await _create_schema(connection, tables.metadata.schema)
        await connection.run_sync(tables.metadata.create_all)


async def _create_schema(connection: AsyncConnection, schema: str | None) -> None:
    if schema is None:
        if await connection.scalar(text("SELECT current_schema()")) is not None:
            return
        # Nothing on the search path exists; its first name is what the engine was opened with.
        path = str(await connection.scalar(text("SELECT current_setting('search_path')")))
        schema = path.split(",", maxsplit=1)[0].strip().strip('"')
    await connection.execute(CreateSchema(schema, if_not_exists=True))
