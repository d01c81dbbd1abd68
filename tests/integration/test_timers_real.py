"""Timers on real servers: whoever is there fires them, also for a service that is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

from sagas import (
    NOTHING,
    Event,
    EventContext,
    Saga,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    seconds,
)
from sagas.application import (
    SagaClient,
    SagaSettings,
    broker_admin,
    client_of,
    ensure_topics,
    real_platform,
    run_services,
    topics_of,
)
from sagas.core.framework_events import StepTimedOut
from sagas.core.instance import SagaStatus
from sagas.runtime.assembly import Platform
from sagas.runtime.views import SagaView

DEADLINE_S = 60


class OrderEvent(Event):
    order_id: str


class OrderPlaced(OrderEvent, type="orders.OrderPlaced.v1"):
    pass


class StockReserved(OrderEvent, type="inventory.StockReserved.v1"):
    pass


class StockReleased(OrderEvent, type="inventory.StockReleased.v1"):
    pass


class ParcelDelivered(OrderEvent, type="orders.ParcelDelivered.v1"):
    pass


class ReceiptConfirmed(OrderEvent, type="orders.ReceiptConfirmed.v1"):
    signed_by: str


class ReceiptAssumed(OrderEvent, type="orders.ReceiptAssumed.v1"):
    pass


class Hurried(Saga):
    """A step that has one second."""

    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=NOTHING)
    reserve_stock = Step(
        by="inventory",
        on=OrderPlaced,
        done=StockReserved,
        undone=StockReleased,
        timeout=seconds(1),
    )
    deliver = Step(by="orders", on=StockReserved, done=ParcelDelivered, pivot=True)


class DeliveryMade(OrderEvent, type="orders.DeliveryMade.v1"):
    pass


class Impatient(Saga):
    """Waits for a receipt for a second, and goes on without."""

    key = "order_id"
    start = Start(DeliveryMade, by="orders", undone=NOTHING)
    confirm = Wait(
        by="orders",
        on=DeliveryMade,
        done=ReceiptConfirmed,
        otherwise=ReceiptAssumed,
        timeout=seconds(1),
    )


class DeliveryBegun(OrderEvent, type="orders.DeliveryBegun.v1"):
    pass


class SignatureGiven(OrderEvent, type="orders.SignatureGiven.v1"):
    signed_by: str


class SignatureAssumed(OrderEvent, type="orders.SignatureAssumed.v1"):
    pass


class Patient(Saga):
    """Waits for a receipt for longer than the test lasts."""

    key = "order_id"
    start = Start(DeliveryBegun, by="orders", undone=NOTHING)
    confirm = Wait(
        by="orders",
        on=DeliveryBegun,
        done=SignatureGiven,
        otherwise=SignatureAssumed,
        timeout=seconds(600),
    )


SAGAS = (Hurried, Impatient, Patient)


def orders() -> tuple[Service, asyncio.Event]:
    """The service, and what is set once it has heard of a step that timed out."""
    service, timed_out = Service("orders"), asyncio.Event()
    service.completes(Impatient.confirm)
    service.completes(Patient.confirm)

    @service.performs(Hurried.deliver)
    async def deliver(reserved: StockReserved, context: StepContext) -> ParcelDelivered:
        return ParcelDelivered(order_id=reserved.order_id)

    @service.observes(StepTimedOut)
    async def note(event: StepTimedOut, context: EventContext) -> None:
        timed_out.set()

    return service, timed_out


def inventory() -> Service:
    service = Service("inventory")

    @service.performs(Hurried.reserve_stock)
    async def reserve(order: OrderPlaced, context: StepContext) -> StockReserved:
        raise AssertionError("its time was up before")

    @service.undoes(Hurried.reserve_stock)
    async def release(
        order: OrderPlaced, reserved: StockReserved | None, context: StepContext
    ) -> StockReleased:
        assert reserved is None
        return StockReleased(order_id=order.order_id)

    return service


@asynccontextmanager
async def serving(platform: Platform, service: Service) -> AsyncIterator[None]:
    """The service runs, and is drained in the end."""
    stop, running = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(run_services([service], platform, stop=stop, on_running=running.set))
    joined = asyncio.create_task(running.wait())
    await asyncio.wait({work, joined}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        joined.cancel()
        stop.set()
        await work


@asynccontextmanager
async def started(kafka: str, redis: str) -> AsyncIterator[tuple[Platform, SagaClient]]:
    """A namespace of its own, with topics and a client."""
    namespace = f"timers-{uuid4().hex[:12]}"
    settings = SagaSettings(kafka=kafka, redis=redis, namespace=namespace, partitions=2)
    async with (
        asyncio.timeout(DEADLINE_S),
        real_platform(settings, client_id="test") as platform,
    ):
        admin = broker_admin(settings, client_id="test")
        await ensure_topics(topics_of(SAGAS, [], settings), admin, create=True)
        yield platform, client_of(platform, SAGAS)


def told(view: SagaView) -> list[tuple[str, str]]:
    return [(entry.event.split(".")[1], entry.service) for entry in view.timeline]


async def test_another_participant_times_out_a_step_of_a_service_that_is_away(
    kafka_servers: str, redis_url: str
) -> None:
    async with started(kafka_servers, redis_url) as (platform, client), AsyncExitStack() as stack:
        service, timed_out = orders()
        await stack.enter_async_context(serving(platform, service))
        await client.start(OrderPlaced(order_id="o1"))
        await timed_out.wait()
        view = await client.get(Hurried, "o1")
        assert view is not None
        assert view.status is SagaStatus.COMPENSATING
        assert told(view) == [("OrderPlaced", "orders"), ("StepTimedOut", "orders")]
        assert view.timeline[1].time_ms - view.timeline[0].time_ms >= 1_000
        await stack.enter_async_context(serving(platform, inventory()))
        view = await client.wait_for_end(Hurried, "o1")
        assert view.status is SagaStatus.COMPENSATED
        assert told(view)[2:] == [("StockReleased", "inventory")]


async def test_a_wait_goes_on_along_its_otherwise_event(kafka_servers: str, redis_url: str) -> None:
    async with started(kafka_servers, redis_url) as (platform, client):
        service, _ = orders()
        async with serving(platform, service):
            await client.start(DeliveryMade(order_id="o1"))
            view = await client.wait_for_end(Impatient, "o1")
            assert view.status is SagaStatus.COMPLETED
            assert told(view) == [("DeliveryMade", "orders"), ("ReceiptAssumed", "orders")]
            assert view.timeline[1].time_ms - view.timeline[0].time_ms >= 1_000
            assert await platform.table.list_timers("impatient", limit=10) == []


async def test_a_wait_that_is_completed_ends_and_clears_its_timer(
    kafka_servers: str, redis_url: str
) -> None:
    async with started(kafka_servers, redis_url) as (platform, client):
        service, _ = orders()
        async with serving(platform, service):
            await client.start(DeliveryBegun(order_id="o1"))
            answer = SignatureGiven(order_id="o1", signed_by="Ann")
            await client.complete(Patient.confirm, "o1", answer)
            view = await client.wait_for_end(Patient, "o1")
            assert view.status is SagaStatus.COMPLETED
            assert told(view) == [("DeliveryBegun", "orders"), ("SignatureGiven", "orders")]
            assert await platform.table.list_timers("patient", limit=10) == []
