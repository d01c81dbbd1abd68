"""The test environment with resources: threads, databases, journals, outboxes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from sagas import Service, StepContext
from sagas.adapters.memory.journal import MemoryJournal
from sagas.adapters.sql import SqlJournal, SqlOutbox, create_tables, open_engine
from sagas.application import client_of
from sagas.core.instance import SagaStatus
from sagas.ports import JournalKey, JournalOutcome, JournalUnavailable
from sagas.service import Lifespan
from sagas.testing import SagaTestEnvironment, VirtualClock
from tests.handlers import Shop
from tests.samples import (
    OrderFulfilment,
    OrderPlaced,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentVoided,
    ShipmentCreated,
    StockReleased,
    StockReserved,
)

ORDER = OrderPlaced(order_id="o-1")
reserve_stock = OrderFulfilment.reserve_stock
authorize_payment = OrderFulfilment.authorize_payment
capture_payment = OrderFulfilment.capture_payment


@pytest.fixture
def shop() -> Shop:
    return Shop()


class Clerk:
    """A resource of the simplest kind."""

    def __init__(self) -> None:
        self.signed: list[str] = []
        self.open = True


def stock_service() -> Service:
    """An inventory that keeps its effects in a table, in the journal's transaction."""
    inventory = Service("inventory")

    async def note(context: StepContext, effect: str) -> None:
        connection = context.resource(AsyncConnection)
        await connection.execute(
            text("INSERT INTO effects VALUES (:saga_id, :effect)"),
            {"saga_id": context.saga_id, "effect": effect},
        )

    @inventory.performs(reserve_stock)
    async def reserve(order: OrderPlaced, context: StepContext) -> StockReserved:
        await note(context, "reserve")
        return StockReserved(order_id=order.order_id)

    @inventory.undoes(reserve_stock)
    async def release(
        order: OrderPlaced, reserved: StockReserved | None, context: StepContext
    ) -> StockReleased:
        await note(context, "release")
        return StockReleased(order_id=order.order_id)

    return inventory


def sqlite(file: Path) -> Lifespan:
    """A journal and an outbox in a file."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Iterable[object]]:
        engine = open_engine(f"sqlite:///{file}")
        await create_tables(engine)
        async with engine.begin() as connection:
            await connection.execute(
                text("CREATE TABLE IF NOT EXISTS effects (saga_id TEXT, effect TEXT)")
            )
        yield engine, SqlJournal(engine), SqlOutbox(engine)
        await engine.dispose()

    return opened


async def effects(file: Path) -> list[tuple[str, str]]:
    engine = open_engine(f"sqlite:///{file}")
    async with engine.begin() as connection:
        rows = (await connection.execute(text("SELECT saga_id, effect FROM effects"))).all()
    await engine.dispose()
    return [(row.saga_id, row.effect) for row in rows]


async def test_resources_of_a_lifespan_are_opened_once_and_closed(shop: Shop) -> None:
    clerk = Clerk()
    inventory = shop.inventory()
    shipping = Service("shipping")

    @shipping.performs(OrderFulfilment.create_shipment)
    async def ship(authorized: PaymentAuthorized, context: StepContext) -> ShipmentCreated:
        context.resource(Clerk).signed.append(context.saga_id)
        assert context.resource(Clerk).open
        return ShipmentCreated(order_id=authorized.order_id)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Iterable[object]]:
        yield (clerk,)
        clerk.open = False

    _, notifications = shop.others()
    services = [shop.orders(), inventory, shop.payments(), shipping, notifications]
    async with SagaTestEnvironment(services, resources={"shipping": opened}) as env:
        for name in ("o-1", "o-2"):
            await env.start(OrderPlaced(order_id=name))
    assert sorted(clerk.signed) == ["o-1", "o-2"]
    assert not clerk.open


async def test_a_journal_counts_effects_once(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "inventory.db"
    services = [shop.orders(), stock_service(), shop.payments(), *shop.others()]
    async with SagaTestEnvironment(services, resources={"inventory": sqlite(file)}) as env:
        env.crash_after(reserve_stock)  # the effect is there, and nobody knows of it
        saga_id = await env.start(ORDER)
        await env.run()
        assert env.status(saga_id) is not SagaStatus.COMPLETED
        await env.restart("inventory")
        await env.run()
        await env.redeliver(saga_id)
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
    assert await effects(file) == [("o-1", "reserve")]


async def test_a_delay_holds_no_transaction(tmp_path: Path) -> None:
    shop = Shop(declined=frozenset({"o-1"}))
    file = tmp_path / "inventory.db"
    services = [shop.orders(), stock_service(), shop.payments(), *shop.others()]
    async with SagaTestEnvironment(services, resources={"inventory": sqlite(file)}) as env:
        env.delay(reserve_stock, 3600)
        env.delay(reserve_stock, 60, undo=True)
        for number in range(1, 6):
            await env.start(OrderPlaced(order_id=f"o-{number}"))
        await env.run()
        assert env.clock.elapsed == timedelta(hours=1, minutes=1)
        assert env.status("o-1") is SagaStatus.COMPENSATED
    assert sorted(await effects(file)) == sorted(
        [("o-1", "release"), *((f"o-{number}", "reserve") for number in range(1, 6))]
    )


async def test_a_failure_in_the_transaction_leaves_nothing(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "inventory.db"
    services = [shop.orders(), stock_service(), shop.payments(), *shop.others()]
    async with SagaTestEnvironment(services, resources={"inventory": sqlite(file)}) as env:
        env.fail(reserve_stock, times=3)
        saga_id = await env.start(ORDER)
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPENSATED
    # The undo of an unknown outcome ran; what it was to undo had been rolled back.
    assert await effects(file) == [("o-1", "release")]


async def test_an_outbox_is_work_that_is_waited_for(shop: Shop, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'orders.db'}")
    await create_tables(engine)
    outbox = SqlOutbox(engine)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Iterable[object]]:
        yield (outbox,)

    async with SagaTestEnvironment(shop.services, resources={"orders": opened}) as env:
        client = client_of(env.platform, [OrderFulfilment], outbox=outbox)
        async with engine.begin() as transaction:
            await client.start(ORDER, within=transaction)
        await env.run()
        assert env.status("o-1") is SagaStatus.COMPLETED
        async with engine.connect() as transaction:
            await client.start(OrderPlaced(order_id="o-2"), within=transaction)
            await transaction.rollback()
        await env.run()
        assert env.status("o-2") is None
    await engine.dispose()


async def test_handlers_in_threads_are_waited_for(shop: Shop) -> None:
    payments = Service("payments")
    names: list[str] = []

    @payments.performs(authorize_payment)
    def authorize(reserved: StockReserved, context: StepContext) -> PaymentAuthorized:
        names.append(threading.current_thread().name)
        time.sleep(0.05)
        return PaymentAuthorized(order_id=reserved.order_id)

    @payments.undoes(authorize_payment)
    def void(
        reserved: StockReserved, authorized: PaymentAuthorized | None, context: StepContext
    ) -> PaymentVoided:
        return PaymentVoided(order_id=reserved.order_id)

    @payments.performs(capture_payment)
    def capture(shipment: ShipmentCreated, context: StepContext) -> PaymentCaptured:
        return PaymentCaptured(order_id=shipment.order_id)

    async with SagaTestEnvironment(
        [shop.orders(), shop.inventory(), payments, *shop.others()]
    ) as env:
        saga_id = await env.start(ORDER)
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
        assert env.clock.elapsed == timedelta(0)
    assert names
    assert threading.main_thread().name not in names


async def test_a_handler_that_never_ends_is_named(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services, stuck_after_s=0.05) as env:
        env.replace(reserve_stock, returns=_never)
        saga_id = await env.start(ORDER)
        with pytest.raises(AssertionError, match=r"inventory performs reserve_stock of .*'o-1'"):
            await env.run()
        env.crash("inventory")
        env.expect_unfinished(saga_id)


async def _never(*_: object) -> StockReserved:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def test_a_lifespan_that_fails_stops_everything(shop: Shop) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Iterable[object]]:
        raise OSError("no database")
        yield ()  # type: ignore[unreachable]

    with pytest.raises(OSError, match="no database"):
        async with SagaTestEnvironment(shop.services, resources={"shipping": broken}):
            pytest.fail("not reached")
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_handler_may_sleep_on_the_clock_itself(shop: Shop) -> None:
    shipping = Service("shipping")

    @shipping.performs(OrderFulfilment.create_shipment)
    async def ship(authorized: PaymentAuthorized, context: StepContext) -> ShipmentCreated:
        clock = context.resource(VirtualClock)
        await asyncio.gather(clock.sleep(30), clock.sleep(7200))
        return ShipmentCreated(order_id=authorized.order_id)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Iterable[object]]:
        yield (env.clock,)

    _, notifications = shop.others()
    services = [shop.orders(), shop.inventory(), shop.payments(), shipping, notifications]
    env = SagaTestEnvironment(services, resources={"shipping": opened})
    async with env:
        await env.start(ORDER)
        await env.run()
        assert env.clock.elapsed == timedelta(hours=2)


async def test_a_poller_keeps_no_time_running(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.delay(reserve_stock, 5)
        waiting = asyncio.create_task(env.client.wait_for_end(OrderFulfilment, "o-1"))
        await env.run()
        assert env.clock.elapsed == timedelta(0)
        await env.start(ORDER)
        await env.run()
        assert env.clock.elapsed == timedelta(seconds=5)
        await env.advance(1)
        assert (await waiting).status is SagaStatus.COMPLETED


class LostJournal(MemoryJournal):
    """A journal whose database never comes back."""

    async def forward(
        self,
        key: JournalKey,
        action: Callable[[object], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        raise JournalUnavailable("the database is gone")


async def test_a_server_that_never_comes_back_ends_the_run(shop: Shop) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Iterable[object]]:
        yield (LostJournal(),)

    async with SagaTestEnvironment(shop.services, resources={"inventory": opened}) as env:
        saga_id = await env.start(ORDER)
        with pytest.raises(
            AssertionError, match=r"nothing comes of it:\n  inventory, .* is asleep"
        ):
            await env.run()
        env.expect_unfinished(saga_id)
