"""What SQLite and PostgreSQL have of their own: locks, deadlocks, connections that break,
schemas."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sagas.adapters.sql import SqlJournal, create_tables, open_engine
from sagas.core.errors import SettingsError
from sagas.ports import JournalOutcome, JournalUnavailable
from tests.contract.journal.conftest import SqlParticipant
from tests.contract.journal.test_journal import FORWARD, RESERVED, Handlers


async def test_a_locked_sqlite_file_is_unavailable(sqlite: SqlParticipant) -> None:
    impatient = open_engine(str(sqlite.engine.url), lock_timeout_ms=50)
    reserve = Handlers(sqlite).reserve()
    async with sqlite.engine.begin():
        with pytest.raises(JournalUnavailable, match="locked"):
            await SqlJournal(impatient).forward(FORWARD, reserve)
    assert await SqlJournal(impatient).forward(FORWARD, reserve) == RESERVED
    await impatient.dispose()


async def test_sqlite_has_the_settings_that_it_needs(sqlite: SqlParticipant) -> None:
    async with sqlite.engine.connect() as connection:
        for pragma, value in {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}.items():
            assert await connection.scalar(text(f"PRAGMA {pragma}")) == value


async def test_a_lost_connection_is_unavailable(postgresql: SqlParticipant) -> None:
    async def cut(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        await postgresql.effect(transaction, "reserved")
        pid = await transaction.scalar(text("SELECT pg_backend_pid()"))
        async with postgresql.engine.begin() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        return RESERVED

    with pytest.raises(JournalUnavailable):
        await postgresql.journal.forward(FORWARD, cut)
    assert await postgresql.effects() == []
    reserve = Handlers(postgresql).reserve()
    assert await postgresql.journal.forward(FORWARD, reserve) == RESERVED


async def test_a_lock_held_too_long_is_unavailable(
    postgresql: SqlParticipant, postgresql_url: str
) -> None:
    async with postgresql.engine.connect() as connection:
        schema = str(await connection.scalar(text("SELECT current_schema()")))
    impatient = open_engine(postgresql_url, schema=schema, lock_timeout_ms=50)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(transaction: object) -> JournalOutcome:
        reached.set()
        await go_on.wait()
        return RESERVED

    first = asyncio.ensure_future(postgresql.journal.forward(FORWARD, slow))
    await reached.wait()
    with pytest.raises(JournalUnavailable, match="lock timeout"):
        await SqlJournal(impatient).forward(FORWARD, Handlers(postgresql).reserve())
    go_on.set()
    assert await first == RESERVED
    await impatient.dispose()


async def test_a_deadlock_of_the_users_is_retriable(postgresql: SqlParticipant) -> None:
    async with postgresql.engine.begin() as connection:
        await connection.execute(text("INSERT INTO stock (item) VALUES ('a'), ('b')"))
    both = [asyncio.Event(), asyncio.Event()]

    async def crossing(transaction: object, *items: str) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        lock = text("SELECT item FROM stock WHERE item = :i FOR UPDATE")
        await transaction.execute(lock, {"i": items[0]})
        both[items[0] == "a"].set()
        await asyncio.gather(*(event.wait() for event in both))
        await transaction.execute(lock, {"i": items[1]})
        return RESERVED

    other = FORWARD._replace(saga_id="o-2")
    results = await asyncio.gather(
        postgresql.journal.forward(FORWARD, lambda held: crossing(held, "a", "b")),
        postgresql.journal.forward(other, lambda held: crossing(held, "b", "a")),
        return_exceptions=True,
    )
    assert sum(result == RESERVED for result in results) == 1
    assert sum(isinstance(result, JournalUnavailable) for result in results) == 1


async def test_serializable_isolation_fails_but_never_doubles(postgresql: SqlParticipant) -> None:
    strict = SqlJournal(postgresql.engine.execution_options(isolation_level="SERIALIZABLE"))
    reserve = Handlers(postgresql).reserve()
    results = await asyncio.gather(
        *(strict.forward(FORWARD, reserve) for _ in range(10)), return_exceptions=True
    )
    assert RESERVED in results
    for result in results:
        assert result == RESERVED or isinstance(result, JournalUnavailable)
    assert await postgresql.effects() == ["reserved"]


async def test_each_service_has_its_schema(postgresql: SqlParticipant, postgresql_url: str) -> None:
    schema = f"test_{uuid4().hex}"
    other = open_engine(postgresql_url, schema=schema)
    await create_tables(other)
    await postgresql.journal.forward(FORWARD, Handlers(postgresql).reserve())
    async with other.begin() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM sagas_journal")) == 0
        await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    await other.dispose()


async def test_an_absent_server_is_named_without_its_password() -> None:
    engine = open_engine("postgresql://user:secret@127.0.0.1:1/none")
    with pytest.raises(JournalUnavailable, match=r"127\.0\.0\.1:1/none") as raised:
        await create_tables(engine)
    assert "secret" not in str(raised.value)
    await engine.dispose()


def test_what_cannot_be_opened_is_refused() -> None:
    for url in ("mysql://host/db", "no url, but a secret"):
        with pytest.raises(SettingsError) as raised:
            open_engine(url)
        assert "secret" not in str(raised.value)
    with pytest.raises(SettingsError, match="its own file"):
        open_engine("sqlite:///x.db", schema="inventory")
    with pytest.raises(SettingsError, match="not usable"):
        open_engine("postgresql://host/db", schema="x; drop")


async def test_creating_at_once_on_sqlite(tmp_path: Path) -> None:
    await create_at_once([open_engine(f"sqlite:///{tmp_path}/fresh.db") for _ in range(8)])


async def test_creating_at_once_on_postgresql(postgresql_url: str) -> None:
    schema = f"test_{uuid4().hex}"
    engines = [open_engine(postgresql_url, schema=schema) for _ in range(8)]
    for engine in engines:
        # Connected beforehand, so that they really meet.
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    await create_at_once(engines)
    cleaning = open_engine(postgresql_url)
    async with cleaning.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    await cleaning.dispose()


async def create_at_once(engines: list[AsyncEngine]) -> None:
    await asyncio.gather(*map(create_tables, engines))
    for engine in engines:
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM sagas_journal")) == 0
        await engine.dispose()
