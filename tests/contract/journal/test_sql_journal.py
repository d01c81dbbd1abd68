"""What only a journal in a database has: effects that roll back, and workers that wait."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sagas.adapters.sql import SqlJournal, SqlTables, create_tables
from sagas.core.errors import ContractViolation
from sagas.ports import JournalOutcome, Tombstone
from tests.contract.journal.conftest import SQL, SqlParticipant
from tests.contract.journal.test_journal import (
    FORWARD,
    RELEASED,
    RESERVED,
    ActionError,
    Handlers,
    undo_of,
)

pytestmark = pytest.mark.parametrize("participant", SQL, indirect=True)


@pytest.fixture
def handlers(sql: SqlParticipant) -> Handlers:
    return Handlers(sql)


async def test_an_error_rolls_the_effect_back(sql: SqlParticipant, handlers: Handlers) -> None:
    async def failing(transaction: object) -> JournalOutcome:
        await sql.effect(transaction, "reserved")
        raise ActionError

    async def failing_undo(transaction: object, performed: JournalOutcome | None) -> JournalOutcome:
        await sql.effect(transaction, "released")
        raise ActionError

    with pytest.raises(ActionError):
        await sql.journal.forward(FORWARD, failing)
    with pytest.raises(ActionError):
        await sql.journal.undo(undo_of(FORWARD), failing_undo)
    assert await sql.effects() == []
    assert await sql.journal.forward(FORWARD, handlers.reserve()) == RESERVED


async def test_a_cancelled_action_leaves_nothing(sql: SqlParticipant, handlers: Handlers) -> None:
    reached = asyncio.Event()

    async def hanging(transaction: object) -> JournalOutcome:
        await sql.effect(transaction, "reserved")
        reached.set()
        return await asyncio.Future()

    call = asyncio.ensure_future(sql.journal.forward(FORWARD, hanging))
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await sql.effects() == []
    assert await sql.journal.forward(FORWARD, handlers.reserve()) == RESERVED


async def test_the_users_own_integrity_error_is_raised(sql: SqlParticipant) -> None:
    async def taking(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        await sql.effect(transaction, "reserved")
        await transaction.execute(text("INSERT INTO stock (item) VALUES ('book')"))
        return RESERVED

    await sql.journal.forward(FORWARD, taking)
    with pytest.raises(IntegrityError):
        await sql.journal.forward(FORWARD._replace(saga_id="o-2"), taking)
    assert await sql.effects() == ["reserved"]


async def test_a_savepoint_lets_an_action_go_on(sql: SqlParticipant) -> None:
    async def taking(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        await sql.effect(transaction, "reserved")
        try:
            async with transaction.begin_nested():
                await transaction.execute(text("INSERT INTO stock (item) VALUES ('book')"))
                await transaction.execute(text("INSERT INTO stock (item) VALUES ('book')"))
        except IntegrityError:
            return RELEASED
        return RESERVED

    assert await sql.journal.forward(FORWARD, taking) == RELEASED
    assert await sql.effects() == ["reserved"]


async def test_an_action_that_commits_is_found_out(sql: SqlParticipant, handlers: Handlers) -> None:
    async def committing(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        await sql.effect(transaction, "reserved")
        await transaction.commit()
        return RESERVED

    with pytest.raises(Exception, match="transaction"):
        await sql.journal.forward(FORWARD, committing)
    with pytest.raises(ContractViolation, match="by hand"):
        await sql.journal.forward(FORWARD, handlers.reserve())
    assert await sql.effects() == ["reserved"]


async def test_the_users_own_network_error_is_not_the_journals(sql: SqlParticipant) -> None:
    async def calling(transaction: object) -> JournalOutcome:
        raise ConnectionResetError("the payment provider's")

    with pytest.raises(ConnectionResetError, match="provider"):
        await sql.journal.forward(FORWARD, calling)


async def test_an_undo_waits_for_the_forward_action(
    sql: SqlParticipant, handlers: Handlers
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(transaction: object) -> JournalOutcome:
        await sql.effect(transaction, "reserved")
        reached.set()
        await go_on.wait()
        return RESERVED

    forward = asyncio.ensure_future(sql.journal.forward(FORWARD, slow))
    await reached.wait()
    undo = asyncio.ensure_future(sql.journal.undo(undo_of(FORWARD), handlers.release()))
    done, _ = await asyncio.wait({undo}, timeout=0.1)
    assert not done
    go_on.set()
    assert [await forward, await undo] == [RESERVED, RELEASED]
    assert handlers.performed == [RESERVED]


async def test_a_forward_action_waits_for_its_undo(sql: SqlParticipant, handlers: Handlers) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(transaction: object, performed: JournalOutcome | None) -> JournalOutcome:
        reached.set()
        await go_on.wait()
        return RELEASED

    undo = asyncio.ensure_future(sql.journal.undo(undo_of(FORWARD), slow))
    await reached.wait()
    forward = asyncio.ensure_future(sql.journal.forward(FORWARD, handlers.reserve()))
    done, _ = await asyncio.wait({forward}, timeout=0.1)
    assert not done
    go_on.set()
    assert await undo == RELEASED
    with pytest.raises(Tombstone):
        await forward
    assert await sql.effects() == []


async def test_tables_have_other_names_where_wanted(sql: SqlParticipant) -> None:
    tables = SqlTables(prefix="other_")
    await create_tables(sql.engine, tables)
    await create_tables(sql.engine, tables)
    journal = SqlJournal(sql.engine, tables)
    assert await journal.forward(FORWARD, Handlers(sql).reserve()) == RESERVED
    async with sql.engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM other_journal")) == 1
        assert await connection.scalar(text("SELECT count(*) FROM sagas_journal")) == 0
