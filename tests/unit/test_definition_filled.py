"""A saga that exists in JSON only: generated, its handlers filled in, run in the test environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sagas import Event, SagaStatus
from sagas.language.python import module_of
from sagas.language.reading import read
from sagas.testing import SagaTestEnvironment
from tests.unit.generated import imported

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "order_fulfilment.json"

FILLED = {
    "undo_start": "return OrderCancelled(order_id=order_placed.order_id)",
    "reserve_stock": "return StockReserved(order_id=order_placed.order_id, "
    "customer_id=order_placed.customer_id, amount_cents=3)",
    "undo_reserve_stock": "return StockReleased(order_id=order_placed.order_id)",
    "authorize_payment": "return PaymentAuthorized(order_id=stock_reserved.order_id)",
    "undo_authorize_payment": "return PaymentVoided(order_id=stock_reserved.order_id)",
    "create_shipment": "return ShipmentCreated(order_id=payment_authorized.order_id, tracking_number='t')",
    "capture_payment": "return PaymentCaptured(order_id=shipment_created.order_id)",
    "notify_customer": "return CustomerNotified(order_id=shipment_created.order_id)",
}
LINE = {"sku": "book", "quantity": 1, "unit_price_cents": 3}
SERVICES = ("orders", "inventory", "payments", "shipping", "notifications")


def filled(text: str, bodies: dict[str, str]) -> str:
    """The module with handlers as somebody would write them."""
    for name, body in bodies.items():
        stub = re.compile(
            rf"(async def {name}\(.*?:\n)    raise ContractViolation\(.*?\)\n(?=\n\n)", re.DOTALL
        )
        found = stub.search(text)
        assert found is not None, name
        text = f"{text[: found.start()]}{found[1]}    {body}\n{text[found.end() :]}"
    return text


@pytest.fixture(scope="module")
def generated() -> str:
    return module_of(read(GUIDE.read_text()))


@pytest.fixture
def shop(generated: str) -> Iterator[ModuleType]:
    with imported(filled(generated, FILLED)) as module:
        yield module


def order(shop: ModuleType) -> Event:
    model: type[Event] = shop.OrderPlaced
    return model.model_validate({"order_id": "o-1", "customer_id": "c", "lines": [LINE]})


async def test_it_runs_to_its_end(shop: ModuleType) -> None:
    async with SagaTestEnvironment([getattr(shop, name) for name in SERVICES]) as env:
        saga_id = await env.start(order(shop))
        await env.advance(60)
        assert env.status(saga_id) is SagaStatus.RUNNING
        await env.publish(shop.ReceiptConfirmed(order_id="o-1"), saga_id=saga_id)
        view = await env.wait_for_end(saga_id)
        assert view.status is SagaStatus.COMPLETED


async def test_it_turns_back_on_a_refusal(shop: ModuleType) -> None:
    async with SagaTestEnvironment([getattr(shop, name) for name in SERVICES]) as env:
        declined = shop.PaymentDeclined(order_id="o-1", reason="no funds")
        env.replace(shop.OrderFulfilment.authorize_payment, returns=declined)
        saga_id = await env.start(order(shop))
        view = await env.wait_for_end(saga_id)
        assert view.status is SagaStatus.COMPENSATED
        assert type(env.history(saga_id)[-1].event).__name__ == "OrderCancelled"


async def test_a_handler_that_nobody_has_filled_in_says_so(generated: str) -> None:
    bodies = {name: body for name, body in FILLED.items() if name != "authorize_payment"}
    with imported(filled(generated, bodies)) as shop:
        async with SagaTestEnvironment([getattr(shop, name) for name in SERVICES]) as env:
            saga_id = await env.start(order(shop))
            view = await env.wait_for_end(saga_id)
            assert view.status is SagaStatus.COMPENSATED
            told = "payments can not perform authorize_payment yet: fill in authorize_payment."
            assert any(told in str(recorded.event) for recorded in env.history(saga_id))
