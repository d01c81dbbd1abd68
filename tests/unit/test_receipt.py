"""The last step of the reference saga: the receipt is confirmed, or assumed when nobody says anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockReleased, StockReserved
from events.notifications import CustomerNotified
from events.orders import (
    OrderCancelled,
    OrderLine,
    OrderPlaced,
    ReceiptAssumed,
    ReceiptConfirmed,
)
from events.payments import PaymentAuthorized, PaymentCaptured, PaymentDeclined
from events.shipping import ShipmentCreated
from sagas import EventContext, SagaEnded, Service, StepContext
from sagas.core.instance import SagaStatus
from sagas.testing import SagaTestEnvironment

ORDER = OrderPlaced(
    order_id="o-1",
    customer_id="ada",
    lines=(OrderLine(sku="tea", quantity=2, unit_price_cents=690),),
)
RECEIPT = ReceiptConfirmed(order_id="o-1")
WEEK_S = 7 * 24 * 3600
confirm_receipt = OrderFulfilment.confirm_receipt

Told = Counter[str]


@pytest.fixture
def told() -> Told:
    """How often observers were told of each receipt and each end."""
    return Counter()


@pytest.fixture
async def env(told: Told) -> AsyncIterator[SagaTestEnvironment]:
    """The saga as it is declared; everybody but orders is stood in for."""
    orders, observer = Service("orders"), Service("observer")
    orders.completes(confirm_receipt)

    @orders.undoes(OrderFulfilment.start)
    async def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
        return OrderCancelled(order_id=order.order_id)

    @observer.observes(ReceiptConfirmed, ReceiptAssumed)
    async def note(event: ReceiptConfirmed | ReceiptAssumed, context: EventContext) -> None:
        told[type(event).__name__] += 1

    @observer.observes(OrderFulfilment.ended)
    async def end(ended: SagaEnded, context: EventContext) -> None:
        told[ended.status] += 1

    id_, customer, cents = "o-1", "ada", ORDER.amount_cents
    async with SagaTestEnvironment([orders, observer]) as env:
        for step, answer in (
            (
                OrderFulfilment.reserve_stock,
                StockReserved(order_id=id_, customer_id=customer, amount_cents=cents),
            ),
            (
                OrderFulfilment.authorize_payment,
                PaymentAuthorized(order_id=id_, customer_id=customer, amount_cents=cents),
            ),
            (
                OrderFulfilment.create_shipment,
                ShipmentCreated(order_id=id_, customer_id=customer, tracking_number="P1"),
            ),
            (
                OrderFulfilment.capture_payment,
                PaymentCaptured(order_id=id_, amount_cents=cents),
            ),
            (
                OrderFulfilment.notify_customer,
                CustomerNotified(order_id=id_, customer_id=customer),
            ),
        ):
            env.replace(step, returns=answer)
        yield env


def receipts(env: SagaTestEnvironment) -> list[type]:
    """What the saga has recorded of the receipt."""
    types = [recorded.type for recorded in env.history("o-1")]
    return [type_ for type_ in types if type_ in {ReceiptConfirmed, ReceiptAssumed}]


async def test_is_assumed_after_seven_days(env: SagaTestEnvironment, told: Told) -> None:
    await env.start(ORDER)
    await env.advance(WEEK_S - 1)
    assert env.status("o-1") is SagaStatus.RUNNING
    await env.advance(1)
    view = await env.wait_for_end("o-1")
    assert (view.status, view.state) == (SagaStatus.COMPLETED, "FULFILLED")
    assert receipts(env) == [ReceiptAssumed]
    assert told.keys() == {"ReceiptAssumed", "COMPLETED"}


async def test_is_confirmed_before(env: SagaTestEnvironment, told: Told) -> None:
    await env.start(ORDER)
    await env.advance(24 * 3600)
    await env.client.complete(confirm_receipt, "o-1", RECEIPT)
    await env.run()
    view = await env.wait_for_end("o-1")
    assert (view.status, view.state) == (SagaStatus.COMPLETED, "FULFILLED")
    await env.advance(WEEK_S)
    assert receipts(env) == [ReceiptConfirmed]
    assert told["COMPLETED"] == 1, "observers hear of an end that came from outside"
    assert told["ReceiptConfirmed"] == 2, "as it was said, and with the status it has led to"
    assert "ReceiptAssumed" not in told


async def test_the_end_is_told_again_if_the_answer_comes_again(
    env: SagaTestEnvironment, told: Told
) -> None:
    await env.start(ORDER)
    await env.run()
    await env.client.complete(confirm_receipt, "o-1", RECEIPT)
    await env.run()
    assert told["COMPLETED"] == 1
    await env.client.complete(confirm_receipt, "o-1", RECEIPT)  # as after a crash before the commit
    await env.run()
    assert told["COMPLETED"] == 2
    await env.redeliver("o-1")
    await env.run()


async def test_may_be_confirmed_before_anything_was_sent(
    env: SagaTestEnvironment, told: Told
) -> None:
    env.delay(OrderFulfilment.create_shipment, 5)
    await env.start(ORDER)
    await env.client.complete(confirm_receipt, "o-1", RECEIPT)
    view = await env.wait_for_end("o-1")
    assert view.status is SagaStatus.COMPLETED
    assert receipts(env) == [ReceiptConfirmed]
    assert told["COMPLETED"] >= 1


@pytest.mark.parametrize("first", ["customer", "time"])
async def test_of_both_at_once_exactly_one_counts(
    env: SagaTestEnvironment, told: Told, first: str
) -> None:
    await env.start(ORDER)
    await env.run()
    await env.advance(WEEK_S - 1 if first == "customer" else WEEK_S)
    await env.client.complete(confirm_receipt, "o-1", RECEIPT)
    await env.advance(1)
    assert (await env.wait_for_end("o-1")).status is SagaStatus.COMPLETED
    expected: type = ReceiptConfirmed if first == "customer" else ReceiptAssumed
    assert receipts(env) == [expected]
    assert told["COMPLETED"] >= 1


async def test_a_receipt_of_a_cancelled_order_changes_nothing(
    env: SagaTestEnvironment, told: Told
) -> None:
    env.replace(
        OrderFulfilment.authorize_payment,
        returns=PaymentDeclined(order_id="o-1", customer_id="ada", amount_cents=1, reason="no"),
    )
    await env.start(ORDER)
    await env.client.complete(confirm_receipt, "o-1", RECEIPT)
    env.replace(OrderFulfilment.reserve_stock, returns=StockReleased(order_id="o-1"), undo=True)
    view = await env.wait_for_end("o-1")
    await env.run()
    assert view.status is SagaStatus.COMPENSATED
    assert told["COMPENSATED"] >= 1
    assert "COMPLETED" not in told
