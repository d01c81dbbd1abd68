"""Time in virtual time: timeouts, waits, going on otherwise, deadlines, cancellation, resumption."""

from __future__ import annotations

from datetime import timedelta

from structlog.testing import capture_logs

from sagas import EventContext, Service, StepContext
from sagas.core.events import Event
from sagas.core.framework_events import CancelRequested, ResumeRequested, SagaParked
from sagas.core.instance import SagaStatus
from sagas.runtime.operator import Operator
from sagas.testing import SagaTestEnvironment
from sagas.wire.envelope import Trail
from tests.samples import OrderCancelled, OrderPlaced, ShipmentCreated
from tests.samples_alternatives import (
    GiftUnwrapped,
    GiftWrapped,
    OrderArchived,
    OrderDelivery,
    PaymentConfirmed,
    PaymentRejected,
    ReceiptAssumed,
    ReceiptConfirmed,
    WrappingSkipped,
)

ORDER = OrderPlaced(order_id="7")


def services() -> list[Service]:
    orders, inventory = Service("orders"), Service("inventory")
    payments, shipping = Service("payments"), Service("shipping")

    @orders.undoes(OrderDelivery.start)
    async def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
        return OrderCancelled(order_id=order.order_id)

    @inventory.performs(OrderDelivery.wrap_gift)
    async def wrap(order: OrderPlaced, context: StepContext) -> GiftWrapped | WrappingSkipped:
        return GiftWrapped(order_id=order.order_id)

    @inventory.undoes(OrderDelivery.wrap_gift)
    async def unwrap(
        order: OrderPlaced, wrapped: GiftWrapped | None, context: StepContext
    ) -> GiftUnwrapped:
        return GiftUnwrapped(order_id=order.order_id)

    payments.completes(OrderDelivery.confirm_payment)

    @shipping.performs(OrderDelivery.create_shipment)
    async def ship(paid: PaymentConfirmed, context: StepContext) -> ShipmentCreated:
        return ShipmentCreated(order_id=paid.order_id)

    @shipping.performs(OrderDelivery.archive)
    async def archive(shipped: ShipmentCreated, context: StepContext) -> OrderArchived:
        return OrderArchived(order_id=shipped.order_id)

    return [orders, inventory, payments, shipping]


def types(env: SagaTestEnvironment) -> list[type[Event]]:
    return [type(recorded.event) for recorded in env.history("7")]


async def paid(env: SagaTestEnvironment) -> None:
    await env.start(ORDER)
    await env.run()
    await env.client.complete(OrderDelivery.confirm_payment, "7", PaymentConfirmed(order_id="7"))
    await env.run()


async def test_a_wait_waits_until_it_is_completed_from_outside() -> None:
    async with SagaTestEnvironment(services()) as env:
        await paid(env)
        assert env.status("7") is SagaStatus.RUNNING
        receipt = ReceiptConfirmed(order_id="7", signed_by="Ann")
        await env.client.complete(OrderDelivery.confirm_receipt, "7", receipt)
        view = await env.wait_for_end("7")
        assert (view.status, view.state) == (SagaStatus.COMPLETED, "FULFILLED")
        assert ReceiptAssumed not in types(env)


async def test_a_wait_that_nobody_answers_goes_on_otherwise() -> None:
    async with SagaTestEnvironment(services()) as env:
        await paid(env)
        view = await env.wait_for_end("7")
        assert view.status is SagaStatus.COMPLETED
        assert types(env)[-1] is ReceiptAssumed
        assert env.history("7")[-1].at >= timedelta(days=7)


async def test_of_an_answer_and_its_timeout_exactly_one_counts() -> None:
    async with SagaTestEnvironment(services()) as env:
        await paid(env)
        await env.advance(timedelta(days=7).total_seconds() - 1)
        assert env.status("7") is SagaStatus.RUNNING
        receipt = ReceiptConfirmed(order_id="7", signed_by="Ann")
        await env.client.complete(OrderDelivery.confirm_receipt, "7", receipt)
        await env.advance(2)
        assert env.status("7") is SagaStatus.COMPLETED
        late = ReceiptConfirmed(order_id="7", signed_by="Bob")
        await env.client.complete(OrderDelivery.confirm_receipt, "7", late)
        await env.run()
        assert [t for t in types(env) if t in {ReceiptConfirmed, ReceiptAssumed}] == [
            ReceiptConfirmed
        ]


async def test_a_refusal_from_outside_turns_the_saga_back() -> None:
    async with SagaTestEnvironment(services()) as env:
        await env.start(ORDER)
        await env.run()
        no = PaymentRejected(order_id="7")
        await env.client.complete(OrderDelivery.confirm_payment, "7", no)
        view = await env.wait_for_end("7")
        assert view.status is SagaStatus.COMPENSATED
        assert types(env)[-2:] == [GiftUnwrapped, OrderCancelled]


async def test_an_answer_before_it_is_asked_for_counts_once_it_is() -> None:
    async with SagaTestEnvironment(services()) as env:
        env.delay(OrderDelivery.wrap_gift, 60)
        await env.start(ORDER)
        await env.advance(1)
        await env.client.complete(
            OrderDelivery.confirm_payment, "7", PaymentConfirmed(order_id="7")
        )
        await env.advance(1)
        assert ShipmentCreated not in types(env)
        await env.run()
        assert ShipmentCreated in types(env)
        await env.wait_for_end("7")


async def test_a_step_that_takes_too_long_is_left_out_and_undone_beside_the_saga() -> None:
    async with SagaTestEnvironment(services()) as env:
        env.delay(OrderDelivery.wrap_gift, timedelta(minutes=30).total_seconds())
        await env.start(ORDER)
        await env.advance(timedelta(minutes=10).total_seconds())
        assert types(env) == [OrderPlaced, WrappingSkipped]
        assert env.history("7")[1].at == timedelta(minutes=5)
        await env.client.complete(
            OrderDelivery.confirm_payment, "7", PaymentConfirmed(order_id="7")
        )
        await env.advance(1)
        assert ShipmentCreated in types(env), "it does not wait for what it went on without"
        view = await env.wait_for_end("7")
        assert view.status is SagaStatus.COMPLETED
        assert types(env)[-3:] == [GiftWrapped, GiftUnwrapped, ReceiptAssumed]


async def test_what_others_decide_for_a_service_that_is_down_is_told_on_its_topic() -> None:
    """Whoever observes an event knows its publisher, and neither the saga nor who has decided."""
    audit, told = Service("audit"), list[str]()

    @audit.observes(WrappingSkipped)
    async def note(event: WrappingSkipped, context: EventContext) -> None:
        told.append(event.order_id)

    async with SagaTestEnvironment([*services(), audit]) as env:
        env.crash("inventory")
        await env.start(ORDER)
        await env.advance(timedelta(minutes=10).total_seconds())
        assert types(env) == [OrderPlaced, WrappingSkipped]
        assert set(told) == {"7"}
        await env.restart("inventory")
        await env.wait_for_end("7")


async def test_an_answer_that_never_comes_turns_the_saga_back() -> None:
    async with SagaTestEnvironment(services()) as env:
        await env.start(ORDER)
        view = await env.wait_for_end("7")
        assert view.status is SagaStatus.COMPENSATED
        assert "StepTimedOut" in (view.reason or "")


async def test_the_deadline_turns_the_saga_back_before_the_pivot() -> None:
    async with SagaTestEnvironment(services()) as env:
        deadline_ms = env.clock.now_ms() + 600_000
        await env.client.start(ORDER, trail=Trail(deadline_ms=deadline_ms))
        await env.run()
        await env.advance(599)
        assert env.status("7", saga=OrderDelivery) is SagaStatus.RUNNING
        await env.advance(2)
        assert env.status("7", saga=OrderDelivery) is SagaStatus.COMPENSATED
        view = env.view("7", saga=OrderDelivery)
        assert view is not None
        assert "SagaExpired" in (view.reason or "")


async def test_past_the_deadline_no_step_before_the_pivot_is_begun() -> None:
    async with SagaTestEnvironment(services()) as env:
        late = Trail(deadline_ms=env.clock.now_ms() - 1)
        await env.client.start(ORDER, trail=late)
        await env.run()
        view = env.view("7", saga=OrderDelivery)
        assert view is not None
        assert view.status is SagaStatus.COMPENSATED
        assert not any(entry.event == GiftWrapped.event_type for entry in view.timeline)


def operator_of(env: SagaTestEnvironment) -> Operator:
    at = env.platform
    return Operator(topics=at.topics, broker=at.broker, table=at.table, clock=at.clock, ids=at.ids)


async def test_a_saga_is_cancelled_before_its_pivot() -> None:
    async with SagaTestEnvironment(services()) as env:
        await env.start(ORDER)
        await env.run()
        request = CancelRequested(by="ann", why="ordered twice")
        operator = operator_of(env)
        outlook = await operator.outlook(OrderDelivery, "7", request)
        assert outlook is not None
        assert [emission.type for emission in outlook.emissions] == ["sagas.SagaCancelled.v1"]
        assert env.status("7") is SagaStatus.RUNNING, "an outlook changes nothing"
        await operator.ask(OrderDelivery.name, "7", request)
        view = await env.wait_for_end("7")
        assert view.status is SagaStatus.COMPENSATED
        assert "ordered twice" in (view.reason or "")


async def test_a_cancellation_past_the_pivot_comes_too_late() -> None:
    async with SagaTestEnvironment(services()) as env:
        await paid(env)
        await operator_of(env).ask(OrderDelivery.name, "7", CancelRequested(by="ann", why="late"))
        view = await env.wait_for_end("7")
        assert view.status is SagaStatus.COMPLETED


async def test_a_parked_saga_goes_on_once_it_is_resumed() -> None:
    async with SagaTestEnvironment(services()) as env:
        env.fail(OrderDelivery.archive, times=3)
        await paid(env)
        assert env.status("7") is SagaStatus.PARKED
        await operator_of(env).ask(OrderDelivery.name, "7", ResumeRequested(by="ann", why="mended"))
        await env.run()
        assert env.status("7") is SagaStatus.RUNNING
        assert OrderArchived in types(env)
        await env.wait_for_end("7")


async def test_the_log_says_why_a_saga_is_parked_that_nobody_has_tried() -> None:
    async with SagaTestEnvironment(services()) as env:
        env.crash("shipping")
        await paid(env)
        with capture_logs() as lines:
            await env.advance(60)
        parked = [line for line in lines if line.get("type") == SagaParked.event_type]
        assert [line["reason"] for line in parked] == ["its time is up"]
        env.expect_unfinished("7")
