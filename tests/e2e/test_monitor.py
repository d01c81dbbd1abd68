"""The monitor as a worker of Faust on a real Kafka, beside the real services: over restarts, and without its
state.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from events.choreographies.order_fulfilment import OrderFulfilment
from events.orders import ReceiptConfirmed
from sagas.application import (
    Platform,
    SagaClient,
    SagaSettings,
    broker_admin,
    client_of,
    real_platform,
    run_services,
    topics_of,
)
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
from tests.e2e.monitor_process import MonitorProcess, monitor_process
from tests.e2e.reference_system import an_order, expected_statuses

SERVICES = [one.service for one in (orders, inventory, payments, shipping, notifications)]
SAGA = "order-fulfilment"
COUNTED = ("sagas", "latencies", "objectives")
WAIT_S = 60


@dataclass(frozen=True, slots=True)
class Shop:
    """The services, running in this process on the real servers."""

    client: SagaClient
    namespace: str

    async def order(self, numbers: Iterable[int]) -> Counter[str]:
        """Have orders placed and see each to its end; how many ended how."""
        return Counter(await asyncio.gather(*map(self._one, numbers)))

    async def _one(self, number: int) -> str:
        order = an_order(number)
        await self.client.start(order)
        receipt = ReceiptConfirmed(order_id=order.order_id)
        view = None
        while view is None or not (view.has_ended or view.state == "SHIPPED"):
            await asyncio.sleep(0.05)
            view = await self.client.get(OrderFulfilment, order.order_id)
        if not view.has_ended:
            await self.client.complete(OrderFulfilment.confirm_receipt, order.order_id, receipt)
            view = await self.client.wait_for_end(OrderFulfilment, order.order_id, timeout_s=WAIT_S)
        return str(view.status)


@asynccontextmanager
async def open_shop(kafka: str, redis: str, folder: Path) -> AsyncIterator[Shop]:
    namespace = f"e2e-{secrets.token_hex(4)}"
    servers = SagaSettings(namespace=namespace, kafka=kafka, redis=redis, partitions=2)
    await broker_admin(servers, client_id="test").create_topics(
        topics_of([OrderFulfilment], SERVICES, servers)
    )
    stop, running = asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(real_platform(servers, client_id="test"))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        group.create_task(serve(platform, folder, stop, running))
        async with asyncio.timeout(WAIT_S):
            await running.wait()
        yield Shop(client_of(platform, [OrderFulfilment]), namespace)


async def serve(
    platform: Platform, folder: Path, stop: asyncio.Event, running: asyncio.Event
) -> None:
    place: dict[str, Any] = {"data_dir": folder, "database": None}
    await run_services(
        SERVICES,
        platform,
        stop=stop,
        on_running=running.set,
        resources={
            "orders": lambda: orders.open_resources(OrdersSettings(**place), platform),
            "inventory": lambda: inventory.open_resources(
                InventorySettings(**place, inventory_stock={"tea": 1000, "rare": 0})
            ),
            "payments": lambda: payments.open_resources(
                PaymentsSettings(**place, payments_accounts={"broke": 0})
            ),
            "shipping": lambda: shipping.open_resources(ShippingSettings(**place)),
            "notifications": lambda: notifications.open_resources(NotificationsSettings(**place)),
        },
    )


def ended(views: dict[str, Any]) -> Counter[str]:
    return +Counter(views["sagas"][SAGA]["ended"])


def counted(views: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the moment: which window was the last full one does."""
    return {name: views[name] for name in COUNTED} | {"rates": views["rates"][SAGA]["windows"]}


def started(views: dict[str, Any]) -> int:
    return sum(window["started"] for window in views["rates"][SAGA]["windows"])


async def answers(monitor: MonitorProcess) -> dict[str, int]:
    """The status of some requests."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{monitor.port}", timeout=10) as client:
        return {
            "": (await client.get("/")).status_code,  # compose.yaml asks whether it is alive
            "sagas": (await client.get("/views/sagas")).status_code,
            "nothing": (await client.get("/views/nothing")).status_code,
            "?windows=0": (await client.get("/views?windows=0")).status_code,
        }


async def seen(monitor: MonitorProcess, expected: Counter[str]) -> dict[str, Any]:
    """The views once they have all ends, and everything of each."""
    return await monitor.views_when(
        lambda views: ended(views) == expected and views["behind_records"] == 0
    )


async def test_views_over_restarts_and_without_state(
    kafka_servers: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_shop(kafka_servers, redis_url, tmp_path) as shop:
        environment = {"SAGAS_KAFKA": kafka_servers, "SAGAS_NAMESPACE": shop.namespace}
        with monitor_process(tmp_path, environment) as monitor:
            monitor.start()
            before = await shop.order(range(21))
            assert before == Counter(dict(expected_statuses(21)).values())
            views = await seen(monitor, before)
            assert started(views) == 21
            steps = views["latencies"][SAGA]["steps"]
            assert steps["create_shipment"]["count"] == before["COMPLETED"]
            assert views["latencies"][SAGA]["undos"]["start"]["count"] == before["COMPENSATED"]
            shown = monitor.command("views")
            assert f"{before['COMPLETED']} COMPLETED, {before['COMPENSATED']} COMPENSATED" in shown
            assert "create_shipment within 5s over 24h" in shown
            assert await answers(monitor) == {
                "": 200,
                "sagas": 200,
                "nothing": 404,
                "?windows=0": 400,
            }

            # Killed: what came since its last save, and while it was away, is read first.
            assert monitor.stop(signal.SIGKILL) == -signal.SIGKILL
            meanwhile = await shop.order(range(21, 30))
            monitor.start()
            after = await seen(monitor, before + meanwhile)
            assert started(after) == 30
            completed = (before + meanwhile)["COMPLETED"]
            assert after["latencies"][SAGA]["steps"]["create_shipment"]["count"] == completed
            assert monitor.log.count("monitor.state_empty") == 1  # when it was started first
            assert monitor.stop() == 0

            monitor.start()
            assert counted(await seen(monitor, before + meanwhile)) == counted(after)
            assert monitor.log.count("monitor.state_empty") == 1
            assert monitor.stop(signal.SIGKILL) == -signal.SIGKILL

            monitor.forget()
            monitor.start()
            assert counted(await seen(monitor, before + meanwhile)) == counted(after)
            assert monitor.log.count("monitor.state_empty") == 2
            assert monitor.stop() == 0
            assert "Traceback" not in monitor.log
