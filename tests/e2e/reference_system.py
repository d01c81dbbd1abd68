"""The reference system as processes of its own, on the real servers, with a namespace of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import IO

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from events.choreographies.order_fulfilment import OrderFulfilment
from events.orders import OrderLine, OrderPlaced, ReceiptConfirmed
from sagas.adapters.sql import create_tables
from sagas.application import SagaSettings, SagaView, client_of, real_platform
from sagas.runtime.client import SagaClient
from services import books
from services.inventory.settings import InventorySettings
from services.notifications.settings import NotificationsSettings
from services.orders import store
from services.orders.main import desk_of
from services.orders.settings import OrdersSettings
from services.payments.settings import PaymentsSettings
from services.shipping.settings import ShippingSettings

__all__ = ["ReferenceSystem", "an_order", "expected_statuses", "reference_system"]

SETTINGS = (
    OrdersSettings,
    InventorySettings,
    PaymentsSettings,
    ShippingSettings,
    NotificationsSettings,
)
SAGAS = Path(sys.executable).with_name("sagas")
PROJECT = Path(__file__).parents[2]


_SETTLE_S = 15


def an_order(number: int) -> OrderPlaced:
    """Every tenth customer has no credit, every twentieth article is out of stock."""
    return OrderPlaced(
        order_id=f"order-{number}",
        customer_id="broke" if number % 10 == 1 else f"customer-{number % 97}",
        lines=(
            OrderLine(
                sku="rare" if number % 20 == 0 else "tea",
                quantity=1 + number % 3,
                unit_price_cents=250,
            ),
        ),
    )


def _waits_for_receipt(view: SagaView | None) -> bool:
    return view is not None and any(one.step == "confirm_receipt" for one in view.waits_for)


class ReferenceSystem:
    """Starts, kills and stops service processes, places orders, and reads the books."""

    def __init__(self, environment: dict[str, str], logs: Path, namespace: str) -> None:
        self.namespace = namespace
        self.client: SagaClient
        self.databases: dict[str, AsyncEngine] = {}
        self._environment = environment
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._files: list[IO[bytes]] = []

    def sagas(self, *arguments: str) -> str:
        """Run the command line; what it printed. Raises CalledProcessError."""
        return subprocess.run(
            [SAGAS, *arguments],
            cwd=PROJECT,
            env=self._environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def start(self, service: str, tag: str = "", *, project: Path = PROJECT) -> None:
        """Start one more process of a service, as the project in that directory has it."""
        name = service + tag
        log = (self._logs / f"{name}.log").open("ab")
        self._files.append(log)
        self._processes[name] = subprocess.Popen(
            [SAGAS, "run", service],
            cwd=project,
            env=self._environment
            | {"SAGAS_DATABASE_SCHEMA": f"{self.namespace.replace('-', '_')}_{service}"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def kill(self, name: str) -> None:
        """SIGKILL, as the kernel would."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def terminate(self, name: str) -> int:
        """SIGTERM to one; its exit status."""
        process = self._processes.pop(name)
        process.terminate()
        return process.wait(60)

    def stop(self) -> dict[str, int]:
        """SIGTERM to all; the exit status of each."""
        for process in self._processes.values():
            process.terminate()
        return {name: process.wait(60) for name, process in self._processes.items()}

    def log_of(self, name: str) -> str:
        """What a process has printed."""
        return (self._logs / f"{name}.log").read_text(errors="replace")

    async def place(self, orders: Iterable[OrderPlaced], *, at_once: int = 20) -> None:
        """Place orders as the order desk does: order row and start event in one transaction."""
        desk = desk_of(self.databases["orders"], self._platform)
        gate = asyncio.Semaphore(at_once)

        async def one(order: OrderPlaced) -> None:
            async with gate:
                await desk.place(order)

        async with asyncio.TaskGroup() as group:
            for order in orders:
                group.create_task(one(order))

    async def statuses(
        self, saga_ids: Iterable[str], *, timeout_s: float, at_once: int = 20
    ) -> dict[str, str]:
        """The status of each saga once it has ended, whose customers confirm the receipt of what was
        paid. Raises TimeoutError.
        """
        gate = asyncio.Semaphore(at_once)

        async def one(saga_id: str) -> tuple[str, str]:
            async with gate:
                return saga_id, (await self.end_of(saga_id, timeout_s=timeout_s)).status

        async with asyncio.timeout(timeout_s):
            return dict(await asyncio.gather(*map(one, saga_ids)))

    async def serve(
        self, orders: Iterable[OrderPlaced], *, timeout_s: float, under_way: int = 150
    ) -> dict[str, str]:
        """Place orders and see each to its end; the statuses. So many are under way at a time: a step's
        time runs while it is queued, too, and a longer queue would turn sagas back.
        """
        gate = asyncio.Semaphore(under_way)

        async def one(order: OrderPlaced) -> tuple[str, str]:
            async with gate:
                await self.place([order])
                view = await self.end_of(order.order_id, timeout_s=timeout_s)
            return order.order_id, view.status

        async with asyncio.timeout(timeout_s):
            return dict(await asyncio.gather(*map(one, orders)))

    async def end_of(self, saga_id: str, *, timeout_s: float) -> SagaView:
        """A saga once it has ended; its customer confirms the receipt when it waits for that."""
        async with asyncio.timeout(timeout_s):
            while not _waits_for_receipt(view := await self.client.get(OrderFulfilment, saga_id)):
                if view is not None and view.has_ended:
                    return view
                await self._platform.clock.sleep(0.25)
        receipt = ReceiptConfirmed(order_id=saga_id)
        await self.client.complete(OrderFulfilment.confirm_receipt, saga_id, receipt)
        return await self.client.wait_for_end(OrderFulfilment, saga_id, timeout_s=timeout_s)

    async def findings(self, *, endings: int) -> list[str]:
        """What is wrong with the books, once notifications has seen that many ends; whoever only
        observes may be told of an end a little later, and is waited for.
        """
        while len((found := await books.read(self.databases)).endings) < endings:
            await self._platform.clock.sleep(0.1)
        for _ in range(_SETTLE_S * 10):
            if not books.findings(found):
                break
            await self._platform.clock.sleep(0.1)
            found = await books.read(self.databases)
        return books.findings(found)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ReferenceSystem]:
        """With a client and the databases open; every process is killed at the end."""
        servers = SagaSettings(
            namespace=self.namespace,
            kafka=self._environment["SAGAS_KAFKA"],
            redis=self._environment["SAGAS_REDIS"],
        )
        async with AsyncExitStack() as stack:
            stack.callback(self._kill_all)
            self._platform = await stack.enter_async_context(
                real_platform(servers, client_id="test")
            )
            self.client = client_of(self._platform, [OrderFulfilment])
            for settings in SETTINGS:
                engine = settings(
                    database=SecretStr(self._environment["SAGAS_DATABASE"]),
                    database_schema=f"{self.namespace.replace('-', '_')}_{settings.service}",
                ).engine()
                self.databases[settings.service] = engine
                stack.push_async_callback(engine.dispose)
            await create_tables(self.databases["orders"], store.tables)
            yield self

    def _kill_all(self) -> None:
        for name in tuple(self._processes):
            if self._processes[name].poll() is None:
                self.kill(name)
        for file in self._files:
            file.close()


@asynccontextmanager
async def reference_system(
    kafka: str, redis: str, postgresql: str, logs: Path
) -> AsyncIterator[ReferenceSystem]:
    """The reference system in a namespace of its own, topics created, no process started."""
    namespace = f"e2e-{secrets.token_hex(4)}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SAGAS_")},
        "SAGAS_NAMESPACE": namespace,
        "SAGAS_KAFKA": kafka,
        "SAGAS_REDIS": redis,
        "SAGAS_DATABASE": postgresql,
        "SAGAS_DATABASE_CONNECTIONS": "4",
        "SAGAS_LOG_LEVEL": "WARNING",
        "SAGAS_INVENTORY_STOCK": '{"tea": 1000000, "rare": 0}',
        "SAGAS_PAYMENTS_ACCOUNTS": '{"broke": 0}',
        "TERM": "dumb",
    }
    system = ReferenceSystem(environment, logs, namespace)
    system.sagas("topics", "apply")
    async with system.opened():
        yield system


def expected_statuses(orders: int) -> Iterator[tuple[str, str]]:
    """How each of ``an_order`` has to end."""
    for number in range(orders):
        cancelled = number % 10 == 1 or number % 20 == 0
        yield f"order-{number}", "COMPENSATED" if cancelled else "COMPLETED"
