"""Orders' composition root: settings, database, journal, outbox, and HTTP if asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.adapters.sql import SqlJournal, SqlOutbox
from sagas.application import Platform, SagaSettings, client_of, real_platform
from services import open_database
from services.orders import store
from services.orders.api import api
from services.orders.desk import Desk
from services.orders.handlers import orders as service
from services.orders.server import serving
from services.orders.settings import OrdersSettings

__all__ = ["desk_of", "open_resources", "service"]


@asynccontextmanager
async def open_resources(
    settings: OrdersSettings, platform: Platform | None = None
) -> AsyncIterator[tuple[object, ...]]:
    """What the handlers work with, for as long as the service runs.

    The HTTP interface looks at the saga table through ``platform``; without one it connects to the
    servers that the environment names.
    """
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_database(settings, store.tables))
        if settings.orders_http_port is not None:
            if platform is None:
                servers = real_platform(SagaSettings(), client_id="orders-http")
                platform = await stack.enter_async_context(servers)
            app = api(desk_of(engine, platform))
            host, port = settings.orders_http_host, settings.orders_http_port
            await stack.enter_async_context(serving(app, host=host, port=port))
        yield SqlJournal(engine, store.tables), SqlOutbox(engine, store.tables), engine


def desk_of(engine: AsyncEngine, platform: Platform) -> Desk:
    """The order desk on the service's database."""
    outbox = SqlOutbox(engine, store.tables)
    return Desk(engine, client_of(platform, [OrderFulfilment], outbox=outbox))


@service.lifespan
def resources() -> AbstractAsyncContextManager[tuple[object, ...]]:
    """The resources as the environment says."""
    return open_resources(OrdersSettings())
