"""The five services with handlers that do nothing but answer: what is measured is the framework.

With ``BENCH_JOURNAL`` (a URL of SQLite or PostgreSQL) every service has a participant's journal.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from benchmarks.framework.declaration import (
    CustomerNotified,
    OfOrder,
    OrderCancelled,
    OrderPlaced,
    OrderToNotification,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentVoided,
    ShipmentCreated,
    StockReleased,
    StockReserved,
    StockUnavailable,
)
from benchmarks.orders import LIMIT_CENTS
from sagas import Service, StepContext
from sagas.adapters.sql import SqlJournal, SqlTables, create_tables, open_engine

__all__ = ["SERVICES", "inventory", "notifications", "orders", "payments", "shipping"]

orders = Service("orders")
inventory = Service("inventory")
payments = Service("payments")
shipping = Service("shipping")
notifications = Service("notifications")
SERVICES = (orders, inventory, payments, shipping, notifications)

_E = TypeVar("_E", bound=OfOrder)


def _answer(kind: type[_E], asked: OfOrder) -> _E:
    return kind(
        order_id=asked.order_id,
        customer_id=asked.customer_id,
        amount_cents=asked.amount_cents,
        content=asked.content,
    )


@inventory.performs(OrderToNotification.reserve_stock)
async def reserve(order: OrderPlaced, _context: StepContext) -> StockReserved | StockUnavailable:
    return _answer(StockReserved, order)


@inventory.undoes(OrderToNotification.reserve_stock)
async def release(
    order: OrderPlaced, _reserved: StockReserved | None, _context: StepContext
) -> StockReleased:
    return _answer(StockReleased, order)


@payments.performs(OrderToNotification.authorize_payment)
async def authorize(
    reserved: StockReserved, _context: StepContext
) -> PaymentAuthorized | PaymentDeclined:
    if reserved.amount_cents > LIMIT_CENTS:
        return _answer(PaymentDeclined, reserved)
    return _answer(PaymentAuthorized, reserved)


@payments.undoes(OrderToNotification.authorize_payment)
async def void(
    reserved: StockReserved, _authorized: PaymentAuthorized | None, _context: StepContext
) -> PaymentVoided:
    return _answer(PaymentVoided, reserved)


@payments.performs(OrderToNotification.capture_payment)
async def capture(_shipment: ShipmentCreated, context: StepContext) -> PaymentCaptured:
    return _answer(PaymentCaptured, context.read(OrderPlaced))


@shipping.performs(OrderToNotification.create_shipment)
async def ship(payment: PaymentAuthorized, _context: StepContext) -> ShipmentCreated:
    return _answer(ShipmentCreated, payment)


@notifications.performs(OrderToNotification.notify_customer)
async def notify(shipment: ShipmentCreated, _context: StepContext) -> CustomerNotified:
    return _answer(CustomerNotified, shipment)


@orders.undoes(OrderToNotification.start)
async def cancel(order: OrderPlaced, _context: StepContext) -> OrderCancelled:
    return _answer(OrderCancelled, order)


def _journal_of(
    service: Service,
) -> Callable[[], AbstractAsyncContextManager[tuple[object, ...]]]:
    @asynccontextmanager
    async def resources() -> AsyncIterator[tuple[object, ...]]:
        url = os.environ.get("BENCH_JOURNAL", "")
        if not url:
            yield ()
            return
        schema = None
        if url.startswith("sqlite"):
            engine = open_engine(f"{url}/{service.name}.db", connections=1)
        else:
            schema = f"{os.environ['SAGAS_NAMESPACE'].replace('-', '_')}_{service.name}"
            engine = open_engine(url, schema=schema, connections=5)
        tables = SqlTables()
        try:
            await create_tables(engine, tables)
            yield (SqlJournal(engine, tables),)
        finally:
            await engine.dispose()

    return resources


for _service in SERVICES:
    _service.lifespan(_journal_of(_service))
