"""Completing a step that waits: what is accepted, what is published, what the saga makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagas import (
    NOTHING,
    Completion,
    ContractViolation,
    DefinitionError,
    Event,
    Saga,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    days,
    hours,
)
from sagas.core.definition import Direction
from sagas.core.instance import SagaStatus
from sagas.runtime.outside import completion_record
from sagas.testing import SagaTestEnvironment
from sagas.testing.stub import stub_of
from sagas.wire.envelope import Trail, decode_headers
from sagas.wire.ids import digest_of, event_id
from sagas.wire.topics import Topics
from tests.samples import OrderFulfilment, OrderPlaced, ShipmentCreated
from tests.samples_alternatives import (
    OrderArchived,
    OrderDelivery,
    PaymentConfirmed,
    PaymentRejected,
    ReceiptAssumed,
    ReceiptConfirmed,
)

RECEIPT = ReceiptConfirmed(order_id="o-1", signed_by="Ada")
confirm_receipt = OrderDelivery.confirm_receipt


@pytest.fixture
def orders() -> Service:
    return Service("orders")


def completes(service: Service, wait: Any = confirm_receipt) -> Any:
    """As seen by somebody who runs no type checker."""
    return service.completes(wait)


# --- what is accepted -----------------------------------------------------------------------------


def test_an_answer_becomes_a_completion(orders: Service) -> None:
    completion = orders.completes(confirm_receipt)("o-1", RECEIPT)
    assert completion == Completion(OrderDelivery, "confirm_receipt", "o-1", RECEIPT)


def test_a_wait_may_be_refused() -> None:
    rejected = PaymentRejected(order_id="o-1")
    completion = Service("payments").completes(OrderDelivery.confirm_payment)("o-1", rejected)
    assert completion.event == rejected


def test_a_key_need_not_be_a_string() -> None:
    class Sold(Event, type="orders.Sold.v1"):
        number: int

    class Paid(Event, type="orders.Paid.v1"):
        number: int

    class Sale(Saga):
        key = "number"
        start = Start(Sold, by="orders", undone=NOTHING)
        pay = Wait(by="orders", on=Sold, done=Paid)

    assert Service("orders").completes(Sale.pay)(7, Paid(number=7)).saga_id == "7"


@pytest.mark.parametrize(
    ("saga_id", "event", "words"),
    [
        (
            "o-1",
            ReceiptAssumed(order_id="o-1"),
            r"Assumed\.v1 does not complete OrderDelivery\.confirm_receipt; expected orders\.Recei",
        ),
        ("o-1", PaymentConfirmed(order_id="o-1"), r"payments\.PaymentConfirmed\.v1 does not comp"),
        ("o-1", "ReceiptConfirmed", "'ReceiptConfirmed' does not complete"),
        ("o-1", ReceiptConfirmed, "ReceiptConfirmed'> does not complete"),
        ("o-2", RECEIPT, "order_id='o-1', but is to complete .* of 'o-2'; give both the same key"),
    ],
)
def test_what_is_no_answer_is_refused(
    orders: Service, saga_id: str, event: Any, words: str
) -> None:
    with pytest.raises(ContractViolation, match=words):
        completes(orders)(saga_id, event)


@pytest.mark.parametrize("step", ["wrap_gift", "start", "nonsense"])
def test_a_completion_of_what_does_not_wait_is_refused(step: str) -> None:
    with pytest.raises(ContractViolation, match=rf"complete OrderDelivery\.{step}; .* nothing"):
        Completion(OrderDelivery, step, "o-1", RECEIPT)


# --- the declaration ------------------------------------------------------------------------------


def test_a_service_needs_no_handler_for_its_waits(orders: Service) -> None:
    completes(orders)
    assert orders.sagas == (OrderDelivery,)
    with pytest.raises(DefinitionError) as caught:
        orders.check()
    assert "undoes OrderDelivery.start" in str(caught.value)
    assert "confirm_receipt" not in str(caught.value)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (OrderDelivery.start, r"OrderDelivery\.start: only a Wait is completed from outside"),
        (OrderFulfilment.reserve_stock, "only a Wait is completed from outside. Register a handl"),
        (OrderDelivery.confirm_payment, "the saga gives it to 'payments'"),
        (Wait(by="orders", on=OrderPlaced, done=ReceiptConfirmed), "give a step of a saga"),
        ("confirm_receipt", "can not complete 'confirm_receipt'; give a step of a saga"),
    ],
)
def test_what_can_not_be_completed_is_refused(orders: Service, step: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        completes(orders, step)


def test_a_wait_that_only_time_ends_can_not_be_completed(orders: Service) -> None:
    class Graced(Saga):
        key = "order_id"
        start = Start(OrderPlaced, by="orders", undone=NOTHING)
        grace = Wait(by="orders", on=OrderPlaced, timeout=days(1), otherwise=ReceiptAssumed)

    with pytest.raises(DefinitionError, match="the saga declares nothing that ends it but its tim"):
        completes(orders, Graced.grace)


@pytest.mark.parametrize("verb", ["perform", "undo"])
def test_a_wait_has_no_handlers(orders: Service, verb: str) -> None:
    register: Any = orders.performs if verb == "perform" else orders.undoes
    with pytest.raises(
        DefinitionError,
        match=rf"can not {verb} OrderDelivery\.confirm_receipt: it waits, and has no handler\. "
        r"Complete it from outside with completes\(OrderDelivery\.confirm_receipt\)",
    ):
        register(confirm_receipt)


def test_a_handler_may_return_the_otherwise_event_and_no_other() -> None:
    inventory: Any = Service("inventory")

    async def undeclared(order: OrderPlaced, context: StepContext) -> ReceiptAssumed:
        return ReceiptAssumed(order_id=order.order_id)

    with pytest.raises(DefinitionError, match=r"-> GiftWrapped \| WrappingSkipped"):
        inventory.performs(OrderDelivery.wrap_gift)(undeclared)


# --- what is published ----------------------------------------------------------------------------


def test_the_record_is_one_of_the_waits_service() -> None:
    completion = Completion(OrderDelivery, "confirm_receipt", "o-1", RECEIPT)
    record, again = (
        completion_record(completion, Topics("shop"), trail=Trail(tenant="t"), now_ms=now_ms)
        for now_ms in (1000, 2000)
    )
    envelope = decode_headers(record.headers, record.value or b"", time_ms=0)
    assert (record.topic, record.key) == ("shop.orders.events", b"o-1")
    assert json.loads(envelope.payload) == {"order_id": "o-1", "signed_by": "Ada"}
    assert (envelope.saga, envelope.saga_id) == ("order-delivery", "o-1")
    assert (envelope.type, envelope.source) == ("orders.ReceiptConfirmed.v1", "orders")
    assert (envelope.time_ms, envelope.trail.tenant) == (1000, "t")
    assert envelope.fingerprint == OrderDelivery.definition.fingerprint
    assert envelope.id == event_id(
        *("order-delivery", "o-1", envelope.type),
        step="confirm_receipt",
        direction=Direction.FORWARD,
        content=digest_of(envelope.payload),
    )
    assert decode_headers(again.headers, b"", time_ms=0).id == envelope.id


# --- what the saga makes of it --------------------------------------------------------------------


class Receipt(Saga):
    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=NOTHING)
    ship = Step(by="shipping", on=OrderPlaced, done=ShipmentCreated, undone=NOTHING)
    confirm = Wait(
        by="orders",
        on=ShipmentCreated,
        done=ReceiptConfirmed,
        timeout=hours(1),
        otherwise=ReceiptAssumed,
    )
    archive = Step(by="shipping", on=ReceiptConfirmed, done=OrderArchived, undone=NOTHING)


def shipping() -> Service:
    service = Service("shipping")

    @service.performs(Receipt.ship)
    async def ship(order: OrderPlaced, context: StepContext) -> ShipmentCreated:
        return ShipmentCreated(order_id=order.order_id)

    @service.performs(Receipt.archive)
    async def archive(receipt: ReceiptConfirmed, context: StepContext) -> OrderArchived:
        return OrderArchived(order_id=receipt.order_id)

    return service


@pytest.fixture
def receipts(orders: Service) -> list[Service]:
    orders.completes(Receipt.confirm)
    return [orders, shipping()]


@pytest.mark.parametrize("early", [False, True])
async def test_the_saga_goes_on_once_it_is_completed(receipts: list[Service], early: bool) -> None:
    async with SagaTestEnvironment(receipts) as env:
        await env.start(OrderPlaced(order_id="o-1"))
        if not early:
            await env.run()
            assert env.status("o-1") is SagaStatus.RUNNING
        await env.client.complete(Receipt.confirm, "o-1", RECEIPT)
        await env.client.complete(Receipt.confirm, "o-1", RECEIPT)
        await env.run()
        assert env.status("o-1") is SagaStatus.COMPLETED
        types = {recorded.type for recorded in env.history("o-1")}
        assert types == {OrderPlaced, ShipmentCreated, ReceiptConfirmed, OrderArchived}


async def test_a_checked_completion_is_told(receipts: list[Service]) -> None:
    async with SagaTestEnvironment(receipts) as env:
        await env.start(OrderPlaced(order_id="o-1"))
        await env.client.tell(receipts[0].completes(Receipt.confirm)("o-1", RECEIPT))
        assert (await env.wait_for_end("o-1")).status is SagaStatus.COMPLETED


async def test_the_saga_goes_on_otherwise_when_its_time_is_up(receipts: list[Service]) -> None:
    async with SagaTestEnvironment(receipts) as env:
        await env.start(OrderPlaced(order_id="o-1"))
        assert (await env.wait_for_end("o-1")).status is SagaStatus.COMPLETED
        assert [r.type for r in env.history("o-1")] == [
            OrderPlaced,
            ShipmentCreated,
            ReceiptAssumed,
        ]


async def test_a_client_refuses_what_is_no_answer(receipts: list[Service]) -> None:
    async with SagaTestEnvironment(receipts) as env:
        client: Any = env.client
        with pytest.raises(ContractViolation, match=r"does not complete Receipt\.confirm"):
            await client.complete(Receipt.confirm, "o-1", ReceiptAssumed(order_id="o-1"))
        with pytest.raises(ContractViolation, match="has no outbox"):
            await client.complete(Receipt.confirm, "o-1", RECEIPT, within=object())


def test_a_stand_in_takes_part_by_its_wait() -> None:
    assert stub_of("orders", [Receipt], pytest.fail).sagas == (Receipt,)
