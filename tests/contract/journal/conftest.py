"""Participants with a journal on memory, SQLite and PostgreSQL, for one suite.

A participant's effect is an entry in a ledger of its own, written in the transaction that the
journal hands to the action.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sagas.adapters.memory.journal import MemoryJournal
from sagas.adapters.sql import SqlJournal, SqlTables, create_tables, open_engine
from sagas.ports import PrunableJournal


class Participant(Protocol):
    """A journal and the effects that were made under it."""

    @property
    def journal(self) -> PrunableJournal:
        """The adapter under test."""

    async def age(self, *, days: int) -> None:
        """Make all that is recorded by now so much older."""

    def now_ms(self) -> int:
        """The time of what is recorded now."""

    async def effect(self, transaction: object, name: str) -> None:
        """Leave an effect in the action's transaction."""

    async def effects(self) -> list[str]:
        """All effects that lasted, in no order."""


class MemoryParticipant:
    """Effects in a list: they cannot be taken back."""

    def __init__(self) -> None:
        self._now_ms = 1_800_000_000_000
        self.journal = MemoryJournal(self)
        self._effects: list[str] = []

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)

    async def age(self, *, days: int) -> None:
        await self.sleep(days * 86_400)

    async def effect(self, transaction: object, name: str) -> None:
        assert transaction is self.journal
        self._effects.append(name)

    async def effects(self) -> list[str]:
        return self._effects


class SqlParticipant:
    """Effects in a table of the same database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.journal = SqlJournal(engine)

    async def effect(self, transaction: object, name: str) -> None:
        assert isinstance(transaction, AsyncConnection)
        await transaction.execute(text("INSERT INTO effects (name) VALUES (:n)"), {"n": name})

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def age(self, *, days: int) -> None:
        journal = SqlTables().journal
        async with self.engine.begin() as connection:
            for row in (await connection.execute(select(journal))).all():
                mine = [column == row._mapping[column.name] for column in journal.primary_key]
                older = row.created_at - timedelta(days=days)
                await connection.execute(update(journal).where(*mine).values(created_at=older))

    async def effects(self) -> list[str]:
        async with self.engine.connect() as connection:
            return list((await connection.scalars(text("SELECT name FROM effects"))).all())


@asynccontextmanager
async def sql_participant(engine: AsyncEngine) -> AsyncIterator[SqlParticipant]:
    await create_tables(engine)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE effects (name TEXT NOT NULL)"))
        await connection.execute(text("CREATE TABLE stock (item TEXT PRIMARY KEY)"))
    try:
        yield SqlParticipant(engine)
    finally:
        await engine.dispose()


SQL = ["sqlite", "sqlite in memory", pytest.param("postgresql", marks=pytest.mark.real)]


@pytest.fixture(params=["memory", *SQL])
async def participant(request: pytest.FixtureRequest) -> AsyncIterator[Participant]:
    if request.param == "memory":
        yield MemoryParticipant()
    elif request.param == "sqlite in memory":
        async with sql_participant(open_engine("sqlite://")) as participant:
            yield participant
    else:
        url, schema = _place(request, request.param)
        async with _opened(url, schema) as participant:
            yield participant


@pytest.fixture
def sql(participant: Participant) -> SqlParticipant:
    assert isinstance(participant, SqlParticipant)
    return participant


@pytest.fixture
async def sqlite(request: pytest.FixtureRequest) -> AsyncIterator[SqlParticipant]:
    async with _opened(*_place(request, "sqlite")) as participant:
        yield participant


@pytest.fixture
async def postgresql(request: pytest.FixtureRequest) -> AsyncIterator[SqlParticipant]:
    async with _opened(*_place(request, "postgresql")) as participant:
        yield participant


def _place(request: pytest.FixtureRequest, database: str) -> tuple[str, str | None]:
    if database == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path')}/participant.db", None
    return request.getfixturevalue("postgresql_url"), f"test_{uuid4().hex}"


@asynccontextmanager
async def _opened(url: str, schema: str | None) -> AsyncIterator[SqlParticipant]:
    async with sql_participant(open_engine(url, schema=schema)) as participant:
        yield participant
        if schema is not None:
            async with participant.engine.begin() as connection:
                await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
