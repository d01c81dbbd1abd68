"""Shipping's composition root: settings, database, journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sagas.adapters.sql import SqlJournal
from services import open_database
from services.shipping import store
from services.shipping.handlers import shipping as service
from services.shipping.settings import ShippingSettings

__all__ = ["open_resources", "service"]


@asynccontextmanager
async def open_resources(settings: ShippingSettings) -> AsyncIterator[tuple[object, ...]]:
    """What the handlers work with, for as long as the service runs."""
    async with open_database(settings, store.tables) as engine:
        yield (SqlJournal(engine, store.tables),)


@service.lifespan
def resources() -> AbstractAsyncContextManager[tuple[object, ...]]:
    """The resources as the environment says."""
    return open_resources(ShippingSettings())
