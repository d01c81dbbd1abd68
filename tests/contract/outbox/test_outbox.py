"""What every outbox must do: publish what was committed, in order per key, until it was
acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from sagas.adapters.sql import SqlOutbox
from sagas.core.errors import ContractViolation
from sagas.ports import BrokerUnavailable, JournalUnavailable, OutgoingRecord

EVERY_BYTE = bytes(range(256))


def record(number: int, key: str | None = "k") -> OutgoingRecord:
    return OutgoingRecord("t", None if key is None else key.encode(), b"%d" % number)


async def add(engine: AsyncEngine, outbox: SqlOutbox, *records: OutgoingRecord) -> None:
    async with engine.begin() as connection:
        for each in records:
            await outbox.add(connection, each)


async def relay_all(outbox: SqlOutbox) -> list[OutgoingRecord]:
    broker = Broker()
    while await outbox.relay(broker.publish, records_max=1_000):
        pass
    return broker.published


class Broker:
    """Remembers what it was given; refuses what ``refuses`` says."""

    def __init__(self, refuses: Callable[[OutgoingRecord], bool] = lambda _: False) -> None:
        self.published: list[OutgoingRecord] = []
        self.refuses = refuses

    async def publish(self, given: OutgoingRecord) -> None:
        await asyncio.sleep(0)
        if self.refuses(given):
            raise BrokerUnavailable(repr(given.value))
        self.published.append(given)

    @property
    def numbers(self) -> list[int]:
        return [int(given.value or b"-1") for given in self.published]


async def test_what_was_stored_is_published_byte_for_byte(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    records = [
        OutgoingRecord(
            "orders.events",
            EVERY_BYTE,
            EVERY_BYTE,
            (("ce_type", EVERY_BYTE), ("again ünï", b""), ("again ünï", b"\x00")),
        ),
        OutgoingRecord("t", b"", b""),
        OutgoingRecord("t", b"k", None),
        OutgoingRecord("t", None, b"v"),
    ]
    await add(engine, outbox, *records)
    assert await relay_all(outbox) == records


async def test_nothing_stored_is_nothing_published(outbox: SqlOutbox) -> None:
    broker = Broker()
    assert await outbox.relay(broker.publish, records_max=10) == 0
    assert broker.published == []


async def test_a_rollback_leaves_nothing(engine: AsyncEngine, outbox: SqlOutbox) -> None:
    async with engine.connect() as connection, connection.begin() as transaction:
        await outbox.add(connection, record(1))
        await transaction.rollback()
    assert await relay_all(outbox) == []


async def test_the_oldest_go_first_and_as_many_as_asked_for(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    await add(engine, outbox, *(record(n) for n in range(10)))
    broker = Broker()
    assert await outbox.relay(broker.publish, records_max=4) == 4
    assert broker.numbers == [0, 1, 2, 3]
    assert await outbox.relay(broker.publish, records_max=100) == 6
    assert broker.numbers == list(range(10))
    assert await outbox.relay(broker.publish, records_max=100) == 0


async def test_keys_do_not_wait_for_each_other_but_for_themselves(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    await add(engine, outbox, *(record(n, key=f"k{n % 3}") for n in range(30)))
    published: list[int] = []
    together = asyncio.Barrier(3)

    async def publish(given: OutgoingRecord) -> None:
        await together.wait()
        published.append(int(given.value or b""))

    assert await outbox.relay(publish, records_max=30) == 30
    for lane in range(3):
        assert [n for n in published if n % 3 == lane] == list(range(lane, 30, 3))


async def test_a_failure_holds_back_its_own_key_only(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    records = [record(0, "a"), record(1, "b"), record(2, "a"), record(3, None), record(4, "b")]
    await add(engine, outbox, *records)
    broker = Broker(refuses=lambda given: given.value == b"0")
    with pytest.raises(BrokerUnavailable, match="0"):
        await outbox.relay(broker.publish, records_max=10)
    assert sorted(broker.numbers) == [1, 3, 4]
    assert await relay_all(outbox) == [records[0], records[2]]


async def test_a_crash_before_the_deletion_publishes_again(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    await add(engine, outbox, record(0, "a"), record(1, "b"))
    first_done = asyncio.Event()
    published: list[bytes | None] = []

    async def publish(given: OutgoingRecord) -> None:
        published.append(given.value)
        if given.value == b"1":
            first_done.set()
            await asyncio.Future()

    relay = asyncio.ensure_future(outbox.relay(publish, records_max=10))
    await first_done.wait()
    relay.cancel()
    with pytest.raises(asyncio.CancelledError):
        await relay
    assert published == [b"0", b"1"]
    assert await relay_all(outbox) == [record(0, "a"), record(1, "b")]


async def test_two_relays_lose_nothing_and_keep_the_order(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    await add(engine, outbox, *(record(n, key=f"k{n % 7}") for n in range(200)))
    brokers = [Broker(), Broker()]

    async def relaying(
        mine: SqlOutbox, publish: Callable[[OutgoingRecord], Awaitable[None]]
    ) -> None:
        async with engine.connect() as connection:
            left = text("SELECT count(*) FROM sagas_outbox")
            while await connection.scalar(left):
                await connection.rollback()
                await mine.relay(publish, records_max=20)

    order: list[int] = []

    def remembering(broker: Broker) -> Callable[[OutgoingRecord], Awaitable[None]]:
        async def publish(given: OutgoingRecord) -> None:
            await broker.publish(given)
            order.append(int(given.value or b""))

        return publish

    await asyncio.gather(*(relaying(SqlOutbox(engine), remembering(broker)) for broker in brokers))
    assert set(order) == set(range(200))
    first_seen = list(dict.fromkeys(order))
    for lane in range(7):
        assert [n for n in first_seen if n % 7 == lane] == list(range(lane, 200, 7))
    if engine.dialect.name == "postgresql":
        assert len(order) == 200
        assert all(broker.published for broker in brokers)


# On SQLite a relay holds nothing that another could pass over.
@pytest.mark.parametrize(
    "engine", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True
)
async def test_a_relay_does_not_overtake_another_within_a_key(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    await add(engine, outbox, record(0, "a"), record(1, "a"), record(2, "b"))
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(given: OutgoingRecord) -> None:
        reached.set()
        await go_on.wait()

    first = asyncio.ensure_future(SqlOutbox(engine).relay(slow, records_max=1))
    await reached.wait()
    broker = Broker()
    assert await SqlOutbox(engine).relay(broker.publish, records_max=10) == 1
    assert broker.numbers == [2]
    go_on.set()
    assert await first == 1
    assert await relay_all(outbox) == [record(1, "a")]


async def test_something_else_than_a_transaction_is_refused(outbox: SqlOutbox) -> None:
    with pytest.raises(ContractViolation, match="AsyncConnection"):
        await outbox.add(object(), record(1))


async def test_the_service_is_not_held_up_while_the_broker_is_slow(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    await add(engine, outbox, record(0))

    async def publish(given: OutgoingRecord) -> None:
        if given.value == b"0":
            await add(engine, outbox, record(1, "other"))

    assert await outbox.relay(publish, records_max=10) == 1
    assert await relay_all(outbox) == [record(1, "other")]


async def test_a_brokers_error_is_not_taken_for_the_databases(
    engine: AsyncEngine, outbox: SqlOutbox
) -> None:
    await add(engine, outbox, record(0))

    async def publish(given: OutgoingRecord) -> None:
        raise ConnectionResetError("the broker's")

    with pytest.raises(ConnectionResetError, match="broker") as raised:
        await outbox.relay(publish, records_max=10)
    assert not isinstance(raised.value, JournalUnavailable)
