"""All that a campaign has in hand: servers, workers, customers, operators, databases, the topics' tail."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from local_stack.processes import free_port
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from campaign.customers import BROKE, RARE, Customers
from campaign.logs import Logs
from campaign.operators import Operators
from campaign.poison import Poison
from campaign.records import NAMESPACE, SERVICES, Place
from campaign.servers import Servers
from campaign.tail import Tail
from campaign.workers import Worker

__all__ = ["World", "databases_of", "environment_of"]

_STOCK = 10_000_000


@dataclass(slots=True, kw_only=True)
class World:
    """What the faults act on, and what they leave behind for the checks."""

    servers: Servers
    workers: dict[str, Worker]
    customers: Customers
    operators: Operators
    tail: Tail
    logs: Logs
    databases: Mapping[str, AsyncEngine]
    poison: dict[Place, Poison] = field(default_factory=dict)
    duplicated: Counter[str] = field(default_factory=Counter)
    """Event ids that were published again by us."""

    def base(self, *services: str) -> list[Worker]:
        """The workers that are always there, of these services or of all."""
        return [self.workers[name] for name in services or SERVICES]

    def second(self, service: str) -> Worker:
        """A place for one more worker of the service."""
        first = self.workers[service]
        number = sum(one.service == service for one in self.workers.values()) + 1
        port = None if first.http_port is None else free_port()
        name = f"{service}-{number}"
        self.workers[name] = Worker(
            name, service, first.environment, self.logs, first.folder, http_port=port
        )
        return self.workers[name]


def environment_of(servers: Servers) -> dict[str, str]:
    """What every process of the framework is told, and nothing that this one happens to have."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SAGAS_")},
        "SAGAS_NAMESPACE": NAMESPACE,
        "SAGAS_KAFKA": servers.kafka,
        "SAGAS_REDIS": servers.redis,
        "SAGAS_DATABASE": servers.postgresql,
        "SAGAS_DATABASE_CONNECTIONS": "4",
        "SAGAS_LOG_LEVEL": "DEBUG",
        "SAGAS_LOG_FORMAT": "json",
        "SAGAS_INVENTORY_STOCK": json.dumps({"tea": _STOCK, "cup": _STOCK, RARE: 0}),
        "SAGAS_PAYMENTS_ACCOUNTS": json.dumps({BROKE: 0}),
        "COLUMNS": "200",
        "TERM": "dumb",
    }


def databases_of(servers: Servers) -> dict[str, AsyncEngine]:
    """An engine on each service's schema; every use connects anew, for the server comes and goes."""
    return {
        service: create_async_engine(
            servers.postgresql,
            poolclass=NullPool,
            connect_args={"server_settings": {"search_path": service}, "timeout": 5},
        )
        for service in SERVICES
    }
