"""The orders service over HTTP on a real socket, with the other services in the same process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas import EventContext, SagaEnded, Service
from sagas.adapters.sql import open_engine
from sagas.application import embedded_platform, run_services
from services.inventory import main as inventory
from services.inventory.settings import InventorySettings
from services.notifications import main as notifications
from services.notifications.settings import NotificationsSettings
from services.orders import main as orders
from services.orders.api import api
from services.orders.settings import OrdersSettings
from services.payments import main as payments
from services.payments.settings import PaymentsSettings
from services.shipping import main as shipping
from services.shipping.settings import ShippingSettings

ORDER = {
    "order_id": "one",
    "customer_id": "somebody",
    "lines": [{"sku": "tea", "quantity": 2, "unit_price_cents": 690}],
}
WAIT_S = 30


class Ends:
    """Waits for the end of a saga by being told of it."""

    def __init__(self) -> None:
        self.service = Service("test")
        self._ended: dict[str, asyncio.Event] = {}
        self.service.observes(OrderFulfilment.ended)(self._note)

    async def _note(self, ended: SagaEnded, _context: EventContext) -> None:
        self._of(ended.saga_id).set()

    def _of(self, order_id: str) -> asyncio.Event:
        return self._ended.setdefault(order_id, asyncio.Event())

    async def of(self, order_id: str) -> None:
        async with asyncio.timeout(WAIT_S):
            await self._of(order_id).wait()


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
async def http(tmp_path: Path, ends: Ends) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running orders service."""
    port = free_port()
    place: dict[str, Any] = {"data_dir": tmp_path, "database": None}
    stop, running = asyncio.Event(), asyncio.Event()
    async with embedded_platform() as platform, asyncio.TaskGroup() as group:
        group.create_task(
            run_services(
                [
                    *(
                        one.service
                        for one in (orders, inventory, payments, shipping, notifications)
                    ),
                    ends.service,
                ],
                platform,
                stop=stop,
                on_running=running.set,
                resources={
                    "orders": lambda: orders.open_resources(
                        OrdersSettings(**place, orders_http_port=port), platform
                    ),
                    "inventory": lambda: inventory.open_resources(
                        InventorySettings(**place, inventory_stock={"tea": 5})
                    ),
                    "payments": lambda: payments.open_resources(
                        PaymentsSettings(**place, payments_accounts={"broke": 0})
                    ),
                    "shipping": lambda: shipping.open_resources(ShippingSettings(**place)),
                    "notifications": lambda: notifications.open_resources(
                        NotificationsSettings(**place)
                    ),
                },
            )
        )
        async with asyncio.timeout(WAIT_S):
            await running.wait()
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield client
        finally:
            stop.set()


async def seen_when(http: httpx.AsyncClient, fits: Callable[[dict[str, Any]], bool]) -> Any:
    """The order once it is as expected: services get to know of each other's doings in time."""
    async with asyncio.timeout(WAIT_S):
        while True:
            seen = (await http.get("/orders/one")).json()
            if fits(seen):
                return seen
            await asyncio.sleep(0.01)


def waits_for_receipt(order: dict[str, Any]) -> bool:
    waits = order["saga"]["waits_for"] if order["saga"] else []
    return any(one["step"] == "confirm_receipt" for one in waits)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def test_an_order_is_placed_and_fulfilled(http: httpx.AsyncClient, ends: Ends) -> None:
    placed = await http.post("/orders", json=ORDER)
    assert placed.status_code == 201, placed.text
    assert placed.json() == {"order_id": "one", "amount_cents": 1380}
    await seen_when(http, waits_for_receipt)
    confirmed = await http.post("/orders/one/receipt")
    assert (confirmed.status_code, confirmed.json()) == (202, {"order_id": "one"})
    await ends.of("one")
    seen = await seen_when(http, lambda order: order["status"] != "PLACED")
    assert (seen["status"], seen["reason"], seen["amount_cents"]) == ("RECEIVED", None, 1380)
    assert seen["lines"] == ORDER["lines"]
    saga = seen["saga"]
    assert (saga["status"], saga["state"], saga["waits_for"]) == ("COMPLETED", "FULFILLED", [])
    assert [entry["event"] for entry in saga["timeline"]][:4] == [
        "orders.OrderPlaced.v1",
        "inventory.StockReserved.v1",
        "payments.PaymentAuthorized.v1",
        "shipping.ShipmentCreated.v1",
    ]
    assert saga["timeline"][-1]["event"] == "orders.ReceiptConfirmed.v1"
    again = await http.post("/orders/one/receipt")
    assert (again.status_code, again.json()) == (200, {"order_id": "one"})


async def test_a_receipt_may_be_confirmed_early_and_many_times(
    http: httpx.AsyncClient, ends: Ends
) -> None:
    await http.post("/orders", json=ORDER)
    answers = await asyncio.gather(*(http.post("/orders/one/receipt") for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    await ends.of("one")
    assert (await http.get("/orders/one")).json()["saga"]["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"customer_id": "broke"}, "payment declined: 1380 cents are above the limit of 0"),
        (
            {"lines": [{"sku": "tea", "quantity": 6, "unit_price_cents": 690}]},
            "out of stock: tea",
        ),
    ],
)
async def test_a_refused_order_is_cancelled(
    http: httpx.AsyncClient, ends: Ends, change: dict[str, object], reason: str
) -> None:
    assert (await http.post("/orders", json=ORDER | change)).status_code == 201
    await ends.of("one")
    seen = (await http.get("/orders/one")).json()
    assert (seen["status"], seen["reason"]) == ("CANCELLED", reason)
    assert seen["saga"]["status"] == "COMPENSATED"
    late = await http.post("/orders/one/receipt")
    assert (late.status_code, late.json()) == (
        409,
        {"errors": ["The receipt of one can not be confirmed any more."]},
    )


async def test_an_order_without_an_id_gets_one(http: httpx.AsyncClient, ends: Ends) -> None:
    placed = await http.post("/orders", json={k: ORDER[k] for k in ("customer_id", "lines")})
    assert placed.status_code == 201
    await http.post(f"{placed.headers['Location']}/receipt")
    await ends.of(placed.json()["order_id"])


async def test_a_repeated_request_places_nothing_twice(http: httpx.AsyncClient, ends: Ends) -> None:
    answers = await asyncio.gather(*(http.post("/orders", json=ORDER) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    other = await http.post("/orders", json=ORDER | {"customer_id": "another"})
    assert other.status_code == 409
    assert other.json() == {"errors": ["There is another order one; choose another id."]}
    await http.post("/orders/one/receipt")
    await ends.of("one")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("", "body: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        ("[]", "body: Input should be an object"),
        ("{}", "customer_id: Field required"),
        ('{"customer_id": "a", "lines": []}', "lines: Tuple should have at least 1 item"),
        (
            '{"customer_id": "a", "lines": [{"sku": "t", "quantity": 0, "unit_price_cents": 1}]}',
            "lines.0.quantity: Input should be greater than or equal to 1",
        ),
        ('{"order_id": "a/b", "customer_id": "a", "lines": []}', "order_id: String should match"),
        ('{"customer_id": "a", "lines": [], "price": 1}', "price: Extra inputs are not permitted"),
    ],
)
async def test_a_bad_order_is_refused_in_words(
    http: httpx.AsyncClient, body: str, complaint: str
) -> None:
    answer = await http.post("/orders", content=body)
    assert answer.status_code == 422
    assert any(said.startswith(complaint) for said in answer.json()["errors"]), answer.text


async def test_other_bad_requests(http: httpx.AsyncClient) -> None:
    large = await http.post("/orders", content=b" " * 70_000)
    assert (large.status_code, large.json()) == (
        413,
        {"errors": ["The order is larger than 65536 bytes."]},
    )
    unknown = await http.get("/orders/nobody")
    assert (unknown.status_code, unknown.json()) == (404, {"errors": ["There is no order nobody."]})
    receipt = await http.post("/orders/nobody/receipt")
    assert (receipt.status_code, receipt.json()) == (404, unknown.json())
    assert (await http.get("/orders")).status_code == 405
    assert (await http.get("/orders/nobody/receipt")).status_code == 405


async def test_an_order_that_has_left_is_not_cancelled(http: httpx.AsyncClient, ends: Ends) -> None:
    await http.post("/orders", json=ORDER)
    await seen_when(http, waits_for_receipt)
    late = await http.post("/orders/one/cancel", json={"reason": "too dear"})
    assert (late.status_code, late.json()) == (
        409,
        {"errors": ["It is too late to cancel one: the parcel is on its way."]},
    )
    await http.post("/orders/one/receipt")
    await ends.of("one")


async def test_an_order_that_is_cancelled_anyway_may_be_cancelled(
    http: httpx.AsyncClient, ends: Ends
) -> None:
    await http.post("/orders", json=ORDER | {"customer_id": "broke"})
    await ends.of("one")
    assert (await http.post("/orders/one/cancel")).status_code == 200


async def test_a_cancellation_that_is_wrong_is_said_so(http: httpx.AsyncClient) -> None:
    unknown = await http.post("/orders/nobody/cancel")
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"errors": ["There is no order nobody."]},
    )
    wrong = await http.post("/orders/nobody/cancel", json={"because": "x"})
    assert (wrong.status_code, wrong.json()) == (
        422,
        {"errors": ["because: Extra inputs are not permitted"]},
    )


async def test_a_database_that_is_away_is_said_so() -> None:
    engine = open_engine(f"postgresql://127.0.0.1:{free_port()}/orders")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        platform = await stack.enter_async_context(embedded_platform())
        transport = httpx.ASGITransport(api(orders.desk_of(engine, platform)))
        async with httpx.AsyncClient(transport=transport, base_url="http://orders") as client:
            answers = [
                await client.post("/orders", json=ORDER),
                await client.get("/orders/one"),
                await client.post("/orders/one/receipt"),
            ]
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert answers[0].json()["errors"][0].endswith("Send the same request again.")
