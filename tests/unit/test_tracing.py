"""One trace for each saga: which spans there are, and which is below which."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from sagas import (
    SagaStatus,
    Service,
    StepContext,
)
from sagas.observability.prometheus import Metrics
from sagas.ports import Clock
from sagas.ports.telemetry import Telemetry, together
from sagas.testing import SagaTestEnvironment
from sagas.wire.envelope import Trail
from sagas.wire.trace import context_of
from tests.handlers import Shop
from tests.samples import (
    OrderFulfilment,
    OrderPlaced,
    PaymentDeclined,
    StockReleased,
    StockReserved,
)
from tests.traced import Traced

TRACE = "a" * 32
CALLER = f"00-{TRACE}-{'b' * 16}-01"


@pytest.fixture
def traced() -> Traced:
    return Traced()


async def test_a_compensated_saga_is_one_tree(traced: Traced) -> None:
    shop = Shop(declined=frozenset({"o-1"}))
    async with SagaTestEnvironment(shop.services, telemetry=traced) as env:
        await env.client.start(OrderPlaced(order_id="o-1"), trail=Trail(tenant="acme"))
        assert (await env.wait_for_end("o-1")).status is SagaStatus.COMPENSATED
    tree = traced.tree()
    ended = "observe orders.OrderCancelled.v1"
    assert {name: below for name, below in tree.items() if name != ended} == {
        "start order-fulfilment": None,
        "send test.orders.events": "start order-fulfilment",
        "reserve_stock": "start order-fulfilment",
        "authorize_payment": "reserve_stock",
        "undo reserve_stock": "authorize_payment",
        "undo start": "undo reserve_stock",
        "saga order-fulfilment": "start order-fulfilment",
    }
    assert tree[ended] == "undo start"
    start = traced.one("start order-fulfilment")
    assert start.context is not None
    own = context_of(None, "order-fulfilment", "o-1").split("-")[1]
    assert f"{start.context.trace_id:032x}" == own
    refused = traced.one("authorize_payment")
    assert refused.kind is SpanKind.CONSUMER
    assert refused.status.status_code is StatusCode.UNSET, "a refusal is no error"
    assert refused.resource.attributes["service.name"] == "payments"
    said = dict(refused.attributes or {})
    assert said["messaging.message.body.size"] > 10  # type: ignore[operator]
    assert {name: said[name] for name in said if name != "messaging.message.body.size"} == {
        "messaging.consumer.group.name": "test.payments",
        "messaging.destination.name": "test.inventory.events",
        "messaging.destination.partition.id": said["messaging.destination.partition.id"],
        "messaging.kafka.message.key": "o-1",
        "messaging.kafka.offset": 0,
        "messaging.message.conversation_id": "o-1",
        "messaging.message.id": said["messaging.message.id"],
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.system": "kafka",
        "sagas.direction": "forward",
        "sagas.event_id": said["sagas.event_id"],
        "sagas.event_type": PaymentDeclined.event_type,
        "sagas.outcome": "refused",
        "sagas.saga": "order-fulfilment",
        "sagas.saga_id": "o-1",
        "sagas.service": "payments",
        "sagas.status": "COMPENSATING",
        "sagas.step": "authorize_payment",
        "sagas.tenant": "acme",
    }
    end = traced.one("saga order-fulfilment")
    assert (end.attributes or {})["sagas.status"] == "COMPENSATED"
    everything = "".join(span.to_json() for span in traced.spans)
    assert "no money" not in everything, "no payload is in a span"


async def test_a_message_that_comes_again_makes_no_second_tree(traced: Traced) -> None:
    shop = Shop(declined=frozenset({"o-1"}))
    async with SagaTestEnvironment(shop.services, telemetry=traced) as env:
        await env.start(OrderPlaced(order_id="o-1"))
        await env.wait_for_end("o-1")
        before = [span.name for span in traced.spans if not span.name.startswith("observe")]
        await env.redeliver("o-1")
        await env.run()
        after = [span.name for span in traced.spans if not span.name.startswith("observe")]
    assert after == before
    assert len({span.context.trace_id for span in traced.spans if span.context}) == 1


async def test_the_trace_of_the_caller_goes_on(traced: Traced) -> None:
    shop = Shop()
    async with SagaTestEnvironment(shop.services, telemetry=traced) as env:
        trail = Trail(traceparent=CALLER, tracestate="vendor=1")
        await env.client.start(OrderPlaced(order_id="o-1"), trail=trail)
        await env.wait_for_end("o-1")
    tree = traced.tree()
    assert tree["send test.orders.events"] == "caller"
    assert tree["start order-fulfilment"] == "send test.orders.events"
    assert tree["capture_payment"] == tree["notify_customer"] == "create_shipment"
    for span in traced.spans:
        assert span.context is not None
        assert f"{span.context.trace_id:032x}" == TRACE
        assert span.context.trace_state.to_header() == "vendor=1"


async def test_the_span_of_the_caller_is_taken_up_and_given_to_handlers(traced: Traced) -> None:
    """As instrumentation of an HTTP server and an HTTP client makes them."""
    tracer, shop = traced.provider("elsewhere").get_tracer("http"), Shop()
    contexts: list[StepContext] = []
    services = [one for one in shop.services if one.name != "inventory"]
    inventory = Service("inventory")

    @inventory.performs(OrderFulfilment.reserve_stock)
    def reserve(order: OrderPlaced, context: StepContext) -> StockReserved:
        contexts.append(context)
        with tracer.start_as_current_span("GET /stock"):
            return StockReserved(order_id=order.order_id)

    @inventory.undoes(OrderFulfilment.reserve_stock)
    async def release(
        order: OrderPlaced, reserved: StockReserved | None, context: StepContext
    ) -> StockReleased:
        raise AssertionError

    async with SagaTestEnvironment([*services, inventory], telemetry=traced) as env:
        with tracer.start_as_current_span("POST /orders"):
            await env.start(OrderPlaced(order_id="o-1"))
        await env.wait_for_end("o-1")
    tree = traced.tree()
    assert tree["send test.orders.events"] == "POST /orders"
    assert tree["POST /orders"] is None
    assert tree["GET /stock"] == "reserve_stock", "also from a thread"
    step = traced.one("reserve_stock").context
    assert step is not None
    said = f"00-{step.trace_id:032x}-{step.span_id:016x}-"
    assert (contexts[0].traceparent or "").startswith(said), "for calls that nobody instruments"
    assert not trace.get_current_span().get_span_context().is_valid


async def test_others_may_watch_as_well(traced: Traced) -> None:
    shop, metrics = Shop(declined=frozenset({"o-1"})), Metrics()

    def both(clock: Clock) -> Telemetry | None:
        return together([traced(clock), metrics])

    async with SagaTestEnvironment(shop.services, telemetry=both) as env:
        with traced.provider("elsewhere").get_tracer("http").start_as_current_span("POST /orders"):
            await env.start(OrderPlaced(order_id="o-1"))
        await env.wait_for_end("o-1")
    assert traced.tree()["send test.orders.events"] == "POST /orders"
    assert b'sagas_ended_total{saga="order-fulfilment"' in metrics.page()
