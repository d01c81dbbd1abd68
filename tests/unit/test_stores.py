"""The reference services' stores, on SQLite files: all or nothing, and exactly what was theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from events.orders import OrderLine, OrderPlaced
from services import books, open_database
from services.inventory import store as inventory
from services.inventory.settings import InventorySettings
from services.notifications import store as notifications
from services.notifications.settings import NotificationsSettings
from services.orders import store as orders
from services.orders.settings import OrdersSettings
from services.payments import store as payments
from services.payments.settings import PaymentsSettings
from services.shipping import store as shipping
from services.shipping.settings import ShippingSettings

Databases = dict[str, AsyncEngine]


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    """Every service's database, with ten teas and one cup in stock."""
    async with AsyncExitStack() as stack:
        opened = {
            settings.service: await stack.enter_async_context(open_database(settings, tables))
            for settings, tables in (
                (OrdersSettings(data_dir=tmp_path, database=None), orders.tables),
                (InventorySettings(data_dir=tmp_path, database=None), inventory.tables),
                (PaymentsSettings(data_dir=tmp_path, database=None), payments.tables),
                (ShippingSettings(data_dir=tmp_path, database=None), shipping.tables),
                (NotificationsSettings(data_dir=tmp_path, database=None), notifications.tables),
            )
        }
        async with opened["inventory"].begin() as connection:
            await inventory.receive(connection, {"tea": 10, "cup": 1})
        yield opened


def line(sku: str, quantity: int) -> OrderLine:
    return OrderLine(sku=sku, quantity=quantity, unit_price_cents=100)


async def stock(databases: Databases) -> dict[str, tuple[int, int, int]]:
    return (await books.read(databases)).stock


async def test_reserves_all_lines_or_nothing(databases: Databases) -> None:
    async with databases["inventory"].begin() as connection:
        lines = [line("tea", 2), line("cup", 1), line("tea", 3)]
        assert await inventory.reserve(connection, "one", lines) == ()
        wanted = [line("tea", 1), line("cup", 1), line("gold", 1)]
        assert await inventory.reserve(connection, "two", wanted) == ("cup", "gold")
        assert await inventory.reserve(connection, "three", [line("tea", 3), line("tea", 3)]) == (
            "tea",
        )
    assert await stock(databases) == {"tea": (10, 5, 5), "cup": (1, 0, 1)}


async def test_releases_exactly_what_the_order_has(databases: Databases) -> None:
    async with databases["inventory"].begin() as connection:
        await inventory.reserve(connection, "one", [line("tea", 2), line("cup", 1)])
        await inventory.reserve(connection, "two", [line("tea", 4)])
        assert await inventory.release(connection, "one") == 3
        assert await inventory.release(connection, "one") == 0
        assert await inventory.release(connection, "unknown") == 0
    assert await stock(databases) == {"tea": (10, 6, 4), "cup": (1, 1, 0)}


async def test_a_known_article_keeps_its_stock(databases: Databases) -> None:
    async with databases["inventory"].begin() as connection:
        await inventory.receive(connection, {"tea": 99, "pot": 1})
        await inventory.receive(connection, {})
    assert await stock(databases) == {"tea": (10, 10, 0), "cup": (1, 1, 0), "pot": (1, 1, 0)}


async def test_payments_keep_to_the_limit(databases: Databases) -> None:
    async with databases["payments"].begin() as connection:
        await payments.open_accounts(connection, {"poor": 99})

        async def authorize(order_id: str, customer_id: str) -> int | None:
            return await payments.authorize(
                connection, order_id, customer_id, 100, default_limit_cents=100
            )

        assert await authorize("one", "poor") == 99
        assert await authorize("two", "anybody") is None
    assert (await books.read(databases)).ledger == [("two", "AUTHORIZED", 100)]


async def test_voids_what_is_open_and_captures_what_is_blocked(databases: Databases) -> None:
    async with databases["payments"].begin() as connection:
        for order_id in ("one", "two"):
            await payments.authorize(connection, order_id, "any", 100, default_limit_cents=100)
        assert await payments.void(connection, "one") == 100
        assert await payments.void(connection, "one") == 0
        assert await payments.void(connection, "unknown") == 0
        with pytest.raises(ValueError, match="costs 101 cents, but 100 are blocked"):
            await payments.capture(connection, "two", 101)
        await payments.capture(connection, "two", 100)
        with pytest.raises(ValueError, match="but 0 are blocked"):
            await payments.capture(connection, "two", 100)
    assert (await books.read(databases)).ledger == [
        ("one", "AUTHORIZED", 100),
        ("two", "AUTHORIZED", 100),
        ("one", "VOIDED", 100),
        ("two", "CAPTURED", 100),
    ]


async def test_observers_may_be_told_twice(databases: Databases) -> None:
    async with databases["notifications"].begin() as connection:
        for _ in range(2):
            await notifications.send_once(connection, "one", "any", "DECLINED", "Sorry.")
        await notifications.end(connection, "order-fulfilment", "one", "COMPENSATED")
        await notifications.end(connection, "order-fulfilment", "one", "COMPLETED")
    found = await books.read(databases)
    assert found.messages == [("one", "DECLINED")]
    assert found.endings == {"one": "COMPLETED"}


async def test_cancels_an_order_once(databases: Databases) -> None:
    placed = OrderPlaced(order_id="one", customer_id="any", lines=(line("tea", 2),))
    async with databases["orders"].begin() as connection:
        assert await orders.add(connection, placed)
        assert not await orders.add(connection, placed)
        await orders.cancel(connection, "one", "first")
        await orders.cancel(connection, "one", "second")
        await orders.cancel(connection, "unknown", "third")
        order = await orders.find(connection, "one")
        assert await orders.find(connection, "unknown") is None
    assert order is not None
    assert (order.status, order.reason) == (orders.OrderStatus.CANCELLED, "first")
    assert (order.lines, order.amount_cents) == (placed.lines, 200)


async def after(databases: Databases, *said: str) -> tuple[str, str]:
    """What has become of an order of which this was said, in this order."""
    order_id = "-".join(said)
    placed = OrderPlaced(order_id=order_id, customer_id="any", lines=(line("tea", 2),))
    async with databases["orders"].begin() as connection:
        await orders.add(connection, placed)
        for word in said:
            if word == "cancelled":
                await orders.cancel(connection, order_id, "late")
            else:
                note = orders.receive if word == "received" else orders.assume
                await note(connection, order_id)
        order = await orders.find(connection, order_id)
    assert order is not None
    return order.status, order.reason


@pytest.mark.parametrize("said", list(permutations(("cancelled", "received", "assumed"))))
async def test_an_order_ends_alike_in_whatever_order_it_is_told(
    databases: Databases, said: tuple[str, ...]
) -> None:
    assert await after(databases, *said, *said) == ("CANCELLED", "late")
    receipts = [word for word in said if word != "cancelled"]
    assert await after(databases, *receipts, *receipts) == ("RECEIVED", "")
    assert await after(databases, "assumed") == ("ASSUMED", "")


async def test_the_books_are_read_from_the_databases(databases: Databases) -> None:
    placed = OrderPlaced(order_id="one", customer_id="any", lines=(line("tea", 2),))
    async with databases["orders"].begin() as connection:
        await orders.add(connection, placed)
        await orders.receive(connection, "one")
    async with databases["inventory"].begin() as connection:
        await inventory.reserve(connection, "one", placed.lines)
    async with databases["payments"].begin() as connection:
        await payments.authorize(connection, "one", "any", 200, default_limit_cents=200)
        await payments.capture(connection, "one", 200)
    async with databases["shipping"].begin() as connection:
        await shipping.send(connection, "one", "any", "P1")
    async with databases["notifications"].begin() as connection:
        await notifications.send(connection, "one", "any", "SHIPPED", "It comes.")
        await notifications.end(connection, "order-fulfilment", "one", "COMPLETED")
    assert books.findings(await books.read(databases)) == []
    async with databases["inventory"].begin() as connection:
        await connection.execute(text("UPDATE stock SET available = 9 WHERE sku = 'tea'"))
    assert len(books.findings(await books.read(databases))) == 1
