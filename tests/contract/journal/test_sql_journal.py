"""What only a journal in a database has: effects that roll back, and workers that wait."""

import asyncio
from contextlib import suppress
from functools import partial

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

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


async def test_an_action_cannot_commit(sql: SqlParticipant, handlers: Handlers) -> None:
    async def committing(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        await sql.effect(transaction, "reserved")
        await transaction.commit()
        return RESERVED

    async def committing_in_secret(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        await sql.effect(transaction, "reserved")
        with suppress(ContractViolation):
            await transaction.run_sync(Connection.commit)
        return RESERVED

    async def rolling_back(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        await sql.effect(transaction, "reserved")
        await transaction.rollback()
        await sql.effect(transaction, "once more")
        return RESERVED

    for ending in (committing, committing_in_secret, rolling_back):
        with pytest.raises(ContractViolation, match=r"leave commit and rollback|has ended"):
            await sql.journal.forward(FORWARD, ending)
        assert await sql.effects() == []
    assert await sql.journal.forward(FORWARD, handlers.reserve()) == RESERVED


async def test_a_session_in_the_transaction_does_not_commit_it(
    sql: SqlParticipant, handlers: Handlers
) -> None:
    async def with_session(transaction: object, *, fails: bool) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        async with AsyncSession(bind=transaction) as session:
            await session.execute(text("INSERT INTO effects (name) VALUES ('reserved')"))
            await session.commit()
        if fails:
            raise ActionError
        return RESERVED

    with pytest.raises(ActionError):
        await sql.journal.forward(FORWARD, partial(with_session, fails=True))
    assert await sql.effects() == []
    await sql.journal.forward(FORWARD, partial(with_session, fails=False))
    assert await sql.effects() == ["reserved"]
    assert await sql.journal.forward(FORWARD, handlers.reserve("again")) == RESERVED


async def test_a_connection_that_outlives_its_action_is_of_no_use(sql: SqlParticipant) -> None:
    kept: list[AsyncConnection] = []

    async def keeping(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        kept.append(transaction)
        return RESERVED

    await sql.journal.forward(FORWARD, keeping)
    with pytest.raises(Exception, match=r"is over|is closed"):
        await sql.effect(kept[0], "late")
    assert await sql.effects() == []


async def test_workers_of_two_processes_exclude_each_other(
    sql: SqlParticipant, handlers: Handlers
) -> None:
    """Whether or not the action uses the database."""
    other = SqlJournal(sql.engine)
    reached, go_on, ran = asyncio.Event(), asyncio.Event(), list[str]()

    async def calling(name: str) -> JournalOutcome:
        ran.append(name)
        reached.set()
        await go_on.wait()
        return RESERVED

    first = asyncio.ensure_future(sql.journal.forward(FORWARD, lambda _: calling("first")))
    await reached.wait()
    second = asyncio.ensure_future(other.forward(FORWARD, lambda _: calling("second")))
    undo = asyncio.ensure_future(other.undo(undo_of(FORWARD), handlers.release()))
    done, _ = await asyncio.wait({second, undo}, timeout=0.1)
    assert not done
    go_on.set()
    assert [await first, await second, await undo] == [RESERVED, RESERVED, RELEASED]
    assert ran == ["first"]
    assert handlers.performed == [RESERVED]


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
