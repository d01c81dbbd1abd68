"""Where the services of a run live: memory and SQLite, or real servers; always a fresh place."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.workload import Workload
from events.choreographies.order_fulfilment import OrderFulfilment
from sagas import Service
from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.application import Platform, SagaSettings, embedded_platform, real_platform, topics_of
from sagas.service import Lifespan
from services import ServiceSettings
from services.inventory import main as inventory
from services.inventory.settings import InventorySettings
from services.notifications import main as notifications
from services.notifications.settings import NotificationsSettings
from services.orders import main as orders
from services.orders.settings import OrdersSettings
from services.payments import main as payments
from services.payments.settings import PaymentsSettings
from services.shipping import main as shipping
from services.shipping.settings import ShippingSettings

__all__ = ["SERVICES", "World", "embedded", "real"]

SERVICES: tuple[Service, ...] = tuple(
    one.service for one in (orders, inventory, payments, shipping, notifications)
)


@dataclass(frozen=True, slots=True)
class World:
    """A platform, what the services open on it, and an engine on each one's database."""

    platform: Platform
    resources: Mapping[str, Lifespan]
    databases: Mapping[str, AsyncEngine]


@asynccontextmanager
async def embedded(work: Workload) -> AsyncIterator[World]:
    """Broker and saga table in memory, a SQLite file per service."""
    with TemporaryDirectory(prefix="sagas-demo-") as folder:
        place = {"database": None, "data_dir": Path(folder)}
        async with embedded_platform() as platform, _on(platform, work, lambda _: place) as world:
            yield world


@asynccontextmanager
async def real(work: Workload, watcher: Service) -> AsyncIterator[World]:
    """Kafka, Redis and PostgreSQL as ``SAGAS_*`` say; a namespace and schemas of this run alone."""
    run = f"demo-{secrets.token_hex(3)}"
    settings = SagaSettings(namespace=run)
    admin = KafkaAdmin(settings.kafka, client_id=run, settings=KafkaSettings())
    await admin.create_topics(topics_of([OrderFulfilment], [*SERVICES, watcher], settings))
    database = SecretStr(os.environ["SAGAS_POSTGRESQL"])

    def place(service: str) -> dict[str, Any]:
        return {"database": database, "database_schema": f"{run}-{service}".replace("-", "_")}

    async with real_platform(settings, client_id=run) as on, _on(on, work, place) as world:
        yield world


@asynccontextmanager
async def _on(
    platform: Platform, work: Workload, place: Callable[[str], dict[str, Any]]
) -> AsyncIterator[World]:
    o = OrdersSettings(**place("orders"), orders_http_port=None)
    i = InventorySettings(**place("inventory"), inventory_stock=work.stock)
    p = PaymentsSettings(**place("payments"), payments_accounts=work.accounts)
    s = ShippingSettings(**place("shipping"))
    n = NotificationsSettings(**place("notifications"))
    settings: tuple[ServiceSettings, ...] = (o, i, p, s, n)
    resources: dict[str, Lifespan] = {
        "orders": lambda: orders.open_resources(o),
        "inventory": lambda: inventory.open_resources(i),
        "payments": lambda: payments.open_resources(p),
        "shipping": lambda: shipping.open_resources(s),
        "notifications": lambda: notifications.open_resources(n),
    }
    engines = {one.service: one.engine() for one in settings}
    try:
        yield World(platform, resources, engines)
    finally:
        await asyncio.gather(*(engine.dispose() for engine in engines.values()))
