"""What the journal on PostgreSQL relies on: claims that exclude, batches, and keys where claims are lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from sagas.adapters.sql import SqlJournal, open_engine
from sagas.ports import JournalKey, JournalOutcome, JournalUnavailable, Tombstone
from tests.contract.journal.conftest import SqlParticipant
from tests.contract.journal.test_journal import FORWARD, RELEASED, RESERVED, Handlers, undo_of

pytestmark = pytest.mark.parametrize(
    "participant", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True
)

FIRST = JournalOutcome("inventory.StockReserved.v1", b"first")
SECOND = JournalOutcome("inventory.StockReserved.v1", b"second")
_OURS = (
    "FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' "
    "AND (classid::bigint << 32 | objid::bigint) IN (SELECT hashtextextended(name, "
    "'sagas_journal'::regclass::oid::bigint) FROM unnest(CAST(:names AS text[])) AS names(name))"
)


@pytest.fixture
def handlers(sql: SqlParticipant) -> Handlers:
    return Handlers(sql)


class Slow:
    """An action that waits in its middle, with or without an effect before."""

    def __init__(self, sql: SqlParticipant, outcome: JournalOutcome, *, effect: bool) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self._sql, self._outcome, self._effect = sql, outcome, effect

    async def __call__(self, transaction: object) -> JournalOutcome:
        if self._effect:
            await self._sql.effect(transaction, "slow")
        self.reached.set()
        await self.go_on.wait()
        return self._outcome


async def lose_claims(sql: SqlParticipant, *keys: JournalKey) -> None:
    """End the connections that hold these steps, as a server's restart or a firewall does."""
    names = ["\x1f".join(key[:3]) for key in keys]
    async with sql.engine.begin() as connection:
        ended = await connection.scalars(
            text(f"SELECT pg_terminate_backend(pid, 5000) {_OURS}"), {"names": names}
        )
        assert True in ended.all()


async def claimed(sql: SqlParticipant, *keys: JournalKey) -> int:
    names = ["\x1f".join(key[:3]) for key in keys]
    async with sql.engine.begin() as connection:
        count: int = await connection.scalar(text(f"SELECT count(*) {_OURS}"), {"names": names})
        return count


@pytest.mark.parametrize("effect", [True, False])
async def test_of_two_that_act_after_a_claim_was_lost_one_counts(
    sql: SqlParticipant, handlers: Handlers, *, effect: bool
) -> None:
    slow = Slow(sql, FIRST, effect=effect)
    first = asyncio.ensure_future(sql.journal.forward(FORWARD, slow))
    await slow.reached.wait()
    await lose_claims(sql, FORWARD)
    second = handlers.reserve("second", SECOND)
    assert await SqlJournal(sql.engine).forward(FORWARD, second) == SECOND
    slow.go_on.set()
    assert await insisted(lambda: sql.journal.forward(FORWARD, handlers.reserve("third"))) == SECOND
    assert await first == SECOND
    assert await sql.effects() == ["second"]


@pytest.mark.parametrize("effect", [True, False])
async def test_an_undo_after_a_claim_was_lost_keeps_the_late_action_out(
    sql: SqlParticipant, handlers: Handlers, *, effect: bool
) -> None:
    slow = Slow(sql, FIRST, effect=effect)
    first = asyncio.ensure_future(sql.journal.forward(FORWARD, slow))
    await slow.reached.wait()
    await lose_claims(sql, FORWARD)
    other = SqlJournal(sql.engine)
    assert await other.undo(undo_of(FORWARD), handlers.release()) == RELEASED
    slow.go_on.set()
    with pytest.raises(Tombstone):
        await first
    assert await sql.effects() == ["released"]


async def insisted(call: Callable[[], Awaitable[JournalOutcome]]) -> JournalOutcome:
    """The call's outcome once the database answers."""
    while True:
        try:
            return await call()
        except JournalUnavailable:
            await asyncio.sleep(0)


async def test_the_loss_of_claims_is_no_error_of_those_who_hold_them(
    sql: SqlParticipant, handlers: Handlers
) -> None:
    slow = Slow(sql, FIRST, effect=True)
    first = asyncio.ensure_future(sql.journal.forward(FORWARD, slow))
    await slow.reached.wait()
    await lose_claims(sql, FORWARD)
    slow.go_on.set()
    assert await first == FIRST
    assert await sql.effects() == ["slow"]
    await insisted(lambda: sql.journal.forward(FORWARD._replace(saga_id="o-2"), handlers.reserve()))


async def test_nothing_stays_claimed(sql: SqlParticipant, handlers: Handlers) -> None:
    async def failing(transaction: object) -> JournalOutcome:
        raise LookupError

    keys = [FORWARD._replace(saga_id=f"o-{number}") for number in range(4)]
    slow = Slow(sql, FIRST, effect=False)
    held = asyncio.ensure_future(sql.journal.forward(keys[0], slow))
    gone = asyncio.ensure_future(sql.journal.forward(keys[1], Slow(sql, FIRST, effect=True)))
    early = asyncio.ensure_future(sql.journal.forward(keys[2], handlers.reserve()))
    await asyncio.sleep(0)
    early.cancel()  # before its claim was answered
    await slow.reached.wait()
    with pytest.raises(LookupError):
        await sql.journal.forward(keys[3], failing)
    gone.cancel()
    await asyncio.gather(gone, early, return_exceptions=True)
    slow.go_on.set()
    await held
    other = SqlJournal(sql.engine)
    for key in keys[1:]:
        await other.forward(key, handlers.reserve())
    while await claimed(sql, *keys):  # noqa: ASYNC110 - the last release is on its way
        await asyncio.sleep(0)
    assert sql.engine.pool.status().count("Current Checked out connections: 0") == 1


async def test_actions_without_statements_need_no_connection_each(
    sql: SqlParticipant, postgresql_url: str
) -> None:
    async with sql.engine.connect() as connection:
        schema = str(await connection.scalar(text("SELECT current_schema()")))
    engine = open_engine(postgresql_url, schema=schema, connections=1)
    together = asyncio.Barrier(50)

    async def calling(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        await together.wait()
        return RESERVED

    journal = SqlJournal(engine)
    keys = [FORWARD._replace(saga_id=f"o-{number}") for number in range(50)]
    assert await asyncio.gather(*(journal.forward(key, calling) for key in keys)) == [RESERVED] * 50
    # One of the pool's for all claims, and one at a time for those who have something to store.
    handlers = Handlers(sql)
    keys = [FORWARD._replace(saga_id=f"p-{number}") for number in range(50)]
    await asyncio.gather(*(journal.forward(key, handlers.reserve()) for key in keys))
    assert await sql.effects() == ["reserved"] * 50
    await engine.dispose()


async def test_outcomes_that_come_together_share_a_commit(sql: SqlParticipant) -> None:
    async def answering(transaction: object) -> JournalOutcome:
        return RESERVED

    keys = [FORWARD._replace(saga_id=f"o-{number}") for number in range(200)]
    await asyncio.gather(*(sql.journal.forward(key, answering) for key in keys))
    async with sql.engine.connect() as connection:
        commits = await connection.scalar(
            text("SELECT count(DISTINCT xmin::text) FROM sagas_journal")
        )
    assert commits < 10


async def test_a_statement_of_the_drivers_own_is_in_the_transaction(
    sql: SqlParticipant, handlers: Handlers
) -> None:
    async def with_driver(transaction: object) -> JournalOutcome:
        assert isinstance(transaction, AsyncConnection)
        driver = (await transaction.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute("INSERT INTO effects (name) VALUES ('by the driver')")
        raise LookupError

    with pytest.raises(LookupError):
        await sql.journal.forward(FORWARD, with_driver)
    assert await sql.effects() == []
    assert await sql.journal.forward(FORWARD, handlers.reserve()) == RESERVED


async def test_an_engine_that_is_disposed_of_leaves_no_connection(
    sql: SqlParticipant, handlers: Handlers, postgresql_url: str
) -> None:
    """Although the journal holds its connection a little longer than the last claim."""
    async with sql.engine.connect() as connection:
        schema = str(await connection.scalar(text("SELECT current_schema()")))
    engine, pids = open_engine(postgresql_url, schema=schema), list[int]()

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: object) -> None:
        pids.append(connection.driver_connection.get_server_pid())

    await SqlJournal(engine).forward(FORWARD, handlers.reserve())
    await engine.dispose()
    assert pids
    left = text("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(:pids)")
    async with sql.engine.connect() as connection:
        while await connection.scalar(left, {"pids": pids}):
            await connection.rollback()  # or the server would show the same picture again
            await asyncio.sleep(0)
