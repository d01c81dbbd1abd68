"""Payments' composition root: settings, database, journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sagas.adapters.sql import SqlJournal
from services import first_rows, open_database
from services.payments import store
from services.payments.handlers import payments as service
from services.payments.settings import PaymentsSettings

__all__ = ["open_resources", "service"]


@asynccontextmanager
async def open_resources(settings: PaymentsSettings) -> AsyncIterator[tuple[object, ...]]:
    """What the handlers work with, for as long as the service runs."""
    async with open_database(settings, store.tables) as engine:
        async with first_rows(engine) as connection:
            await store.open_accounts(connection, settings.payments_accounts)
        yield SqlJournal(engine, store.tables), settings


@service.lifespan
def resources() -> AbstractAsyncContextManager[tuple[object, ...]]:
    """The resources as the environment says."""
    return open_resources(PaymentsSettings())
