"""Notifications' composition root: settings, database, journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sagas.adapters.sql import SqlJournal
from services import open_database
from services.notifications import store
from services.notifications.handlers import notifications as service
from services.notifications.settings import NotificationsSettings

__all__ = ["open_resources", "service"]


@asynccontextmanager
async def open_resources(settings: NotificationsSettings) -> AsyncIterator[tuple[object, ...]]:
    """What the handlers work with, for as long as the service runs."""
    async with open_database(settings, store.tables) as engine:
        yield SqlJournal(engine, store.tables), engine


@service.lifespan
def resources() -> AbstractAsyncContextManager[tuple[object, ...]]:
    """The resources as the environment says."""
    return open_resources(NotificationsSettings())
