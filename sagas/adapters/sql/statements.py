"""The journal's statements: SQLAlchemy's for one action, and asyncpg's for many actions at once."""

# ruff: noqa: S608 - the table's name is quoted by the dialect, and all else is a parameter

from __future__ import annotations

from sqlalchemy import Dialect, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sagas.adapters.sql.tables import SqlTables

__all__ = ["BatchStatements", "Statements"]


class Statements:
    """For one action, in its own transaction, with the parameters ``_saga``, ``_epoch`` and so on."""

    def __init__(self, tables: SqlTables, dialect: str) -> None:
        table = tables.journal
        insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
        both = [table.c[name] == bindparam(f"_{name}") for name in ("saga", "saga_id", "step")]
        step = [*both, table.c.direction == bindparam("_direction")]
        row = [*step, table.c.epoch == bindparam("_epoch")]
        self.claim = insert(table).on_conflict_do_nothing()
        self.record = (
            update(table)
            .where(*row)
            .values(kind=bindparam("_kind"), type=bindparam("type"), payload=bindparam("payload"))
        )
        self.lock = (
            select(table.c.kind, table.c.type, table.c.payload).where(*row).with_for_update()
        )
        self.undone = (
            select(table.c.epoch, table.c.type, table.c.payload)
            .where(*step, table.c.epoch >= bindparam("_epoch"))
            .order_by(table.c.epoch)
        )
        self.discard = delete(table).where(*both, table.c.created_at < bindparam("_since"))


class BatchStatements:
    """For many forward actions at once, on PostgreSQL: every parameter is an array."""

    def __init__(self, tables: SqlTables, dialect: Dialect) -> None:
        table = dialect.identifier_preparer.format_table(tables.journal)
        # Locks are numbers that the whole database shares: the table's is mixed in, so that the
        # services' schemas do not meet. Two names with one number take turns, and nothing else.
        literal = table.replace("'", "''")
        self.lock = (
            "SELECT CASE WHEN wanted THEN pg_try_advisory_lock(number) "
            "ELSE pg_advisory_unlock(number) END FROM (SELECT wanted, "
            f"hashtextextended(name, '{literal}'::regclass::oid::bigint) AS number "
            "FROM unnest($1::text[], $2::boolean[]) AS asked(name, wanted) OFFSET 0) AS locks"
        )
        # Sorted, the inner query stays one look into the primary key for each step, however
        # small the table was when the statement was planned.
        self.look = (
            "SELECT asked.number, found.kind, found.type, found.payload, found.created_ms "
            "FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY "
            "AS asked(saga, saga_id, step, number) CROSS JOIN LATERAL ("
            "SELECT kind, type, payload, "
            "(extract(epoch FROM created_at) * 1000)::bigint AS created_ms "
            f"FROM {table} AS journal "
            "WHERE journal.saga = asked.saga AND journal.saga_id = asked.saga_id "
            "AND journal.step = asked.step AND direction = 'forward' AND epoch = 0 "
            "ORDER BY epoch) AS found"
        )
        self.record = (
            f"INSERT INTO {table} (saga, saga_id, step, direction, epoch, kind, type, payload) "
            "SELECT saga, saga_id, step, 'forward', 0, 'outcome', type, payload "
            "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[]) "
            "AS outcomes(saga, saga_id, step, type, payload) "
            "ON CONFLICT DO NOTHING RETURNING saga, saga_id, step"
        )
        self.record_one = (
            f"INSERT INTO {table} (saga, saga_id, step, direction, epoch, kind, type, payload) "
            "VALUES ($1, $2, $3, 'forward', 0, 'outcome', $4, $5) "
            "ON CONFLICT DO NOTHING RETURNING TRUE"
        )
        self.lock_timeout_ms = "SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'"
