"""A service's database with an outbox, on SQLite and PostgreSQL, for one suite."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from sagas.adapters.sql import SqlOutbox, create_tables, open_engine


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    schema = None
    url = f"sqlite:///{request.getfixturevalue('tmp_path')}/service.db"
    if request.param == "postgresql":
        schema = f"test_{uuid4().hex}"
        url = request.getfixturevalue("postgresql_url")
    engine = open_engine(url, schema=schema)
    await create_tables(engine)
    yield engine
    if schema is not None:
        async with engine.begin() as connection:
            await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    await engine.dispose()


@pytest.fixture
def outbox(engine: AsyncEngine) -> SqlOutbox:
    return SqlOutbox(engine)
