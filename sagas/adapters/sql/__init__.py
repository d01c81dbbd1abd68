"""A participant's journal and outbox in its own SQL database: PostgreSQL or SQLite."""

from sagas.adapters.sql.engines import open_engine
from sagas.adapters.sql.journal import SqlJournal
from sagas.adapters.sql.outbox import SqlOutbox
from sagas.adapters.sql.tables import SqlTables, create_tables

__all__ = ["SqlJournal", "SqlOutbox", "SqlTables", "create_tables", "open_engine"]
