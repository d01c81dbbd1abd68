"""The filter of a service: what a record is to it, by its headers alone."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from sagas import Event, EventContext, SagaEnded, Service
from sagas.application import SagaSettings, topics_of
from sagas.core.definition import SAGA_PARKED, STEP_FAILED
from sagas.core.errors import InvalidMessage
from sagas.ports import Record
from sagas.runtime.subscription import Subscription
from sagas.runtime.waking import GENERATION_BEGAN
from sagas.wire.headers import Headers
from sagas.wire.topics import Topics
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced

TOPICS = Topics("shop")


def record(topic: str, headers: Headers = ()) -> Record:
    return Record(topic, 0, 0, b"o1", b'{"order_id": "o1"}', headers, 0)


def subscription(name: str) -> Subscription:
    return Subscription(next(s for s in Shop().services if s.name == name), TOPICS)


CONTROL = "shop.order-fulfilment.control"


def events(*services: str) -> set[str]:
    return {TOPICS.events(service) for service in services}


@pytest.mark.parametrize(
    ("service", "topics"),
    [
        ("orders", events("orders", "inventory", "payments")),
        ("inventory", events("orders", "inventory", "payments")),
        ("payments", events("inventory", "payments", "shipping")),
        ("shipping", events("payments")),
    ],
)
def test_a_participant_reads_the_topics_of_what_wakes_it_and_control(
    service: str, topics: set[str]
) -> None:
    """Shipping's own topic is not among its: nobody asks anything of it there."""
    assert subscription(service).topics == topics | {CONTROL}


@pytest.mark.parametrize(
    ("service", "hurried"),
    [
        ("orders", set()),
        ("inventory", {"orders"}),
        ("payments", {"inventory", "shipping"}),
        ("shipping", {"payments"}),
    ],
)
def test_what_leads_a_participant_s_steps_forward_is_in_a_hurry(
    service: str, hurried: set[str]
) -> None:
    """Not what turns a saga back, nor control, nor a start on which another participant acts."""
    found = subscription(service)
    assert found.topics - found.unhurried.keys() == events(*hurried)


def test_what_is_observed_is_in_a_hurry() -> None:
    audit = Service("audit")

    @audit.observes(OrderPlaced)
    async def note(event: OrderPlaced, context: EventContext) -> None: ...

    assert Subscription(audit, TOPICS).unhurried == {}


def test_who_observes_ends_reads_every_participant_s_topic_and_control() -> None:
    """Any event may be the last one; so may one that no handler has returned."""
    audit = Service("audit")

    @audit.observes(OrderFulfilment.ended)
    async def note(end: SagaEnded, context: EventContext) -> None: ...

    participants = events(*OrderFulfilment.definition.services)
    assert Subscription(audit, TOPICS).topics == participants | {CONTROL}
    wanted = topics_of([], [audit], SagaSettings(namespace="shop"))
    assert {topic.name for topic in wanted} >= participants | {CONTROL}


def test_who_observes_an_event_reads_its_publisher_s_topic_only() -> None:
    audit = Service("audit")

    @audit.observes(OrderPlaced)
    async def note(event: OrderPlaced, context: EventContext) -> None: ...

    assert Subscription(audit, TOPICS).topics == events("orders")


@pytest.mark.parametrize(
    ("type_", "topic"),
    [
        ("orders.OrderPlaced.v1", "shop.orders.events"),
        ("inventory.StockReleased.v1", "shop.inventory.events"),
        ("payments.PaymentDeclined.v1", "shop.payments.events"),
        (STEP_FAILED, CONTROL),
        (SAGA_PARKED, CONTROL),
    ],
)
def test_an_event_s_type_says_on_which_topic_it_is(type_: str, topic: str) -> None:
    assert TOPICS.of(OrderFulfilment.definition, type_) == topic


def test_a_framework_event_on_control_wakes_whom_it_concerns() -> None:
    headers: Headers = (("ce_type", STEP_FAILED.encode()), ("ce_saganame", b"order-fulfilment"))
    assert subscription("shipping").interest(record(CONTROL, headers)) is None
    interest = subscription("payments").interest(record(CONTROL, headers))
    assert interest is not None
    assert interest.saga is OrderFulfilment


def test_what_nobody_knows_on_control_is_a_matter_of_the_saga_s_host() -> None:
    strange: Headers = (("ce_type", b"x.Y.v1"), ("ce_saganame", b"order-fulfilment"))
    for headers in (strange, ()):
        assert subscription("inventory").interest(record(CONTROL, headers)) is None
        with pytest.raises(InvalidMessage):
            subscription("orders").interest(record(CONTROL, headers))


def test_the_generations_on_control_are_no_unknown_events() -> None:
    generation = record(CONTROL, (("ce_type", GENERATION_BEGAN.encode()),))
    with capture_logs() as logs:
        assert subscription("orders").interest(generation) is None
    assert logs == []


def test_a_plain_record_on_the_start_topic_is_the_start() -> None:
    interest = subscription("inventory").interest(record("shop.orders.events"))
    assert interest is not None
    assert interest.event_type == OrderPlaced.event_type
    assert interest.saga is not None


def test_a_plain_record_elsewhere_is_a_matter_of_the_service_whose_topic_it_is() -> None:
    assert subscription("orders").interest(record("shop.inventory.events")) is None
    audit = Service("audit")

    class Audited(Event, type="audit.Audited.v1"):
        order_id: str

    @audit.observes(OrderPlaced, Audited)
    async def note(event: OrderPlaced | Audited, context: EventContext) -> None: ...

    assert Subscription(audit, TOPICS).interest(record("shop.orders.events")) is None
    with pytest.raises(InvalidMessage, match="no header ce_type"):
        Subscription(audit, TOPICS).interest(record("shop.audit.events"))


def test_another_saga_s_event_is_none_of_our_business() -> None:
    headers: Headers = (("ce_type", b"x.Y.v1"), ("ce_saganame", b"another-saga"))
    assert subscription("inventory").interest(record("shop.orders.events", headers)) is None


def test_an_unknown_type_under_our_saga_s_name_is_invalid() -> None:
    headers: Headers = (("ce_type", b"x.Y.v1"), ("ce_saganame", b"order-fulfilment"))
    with pytest.raises(InvalidMessage, match=r"knows no event 'x\.Y\.v1'"):
        subscription("inventory").interest(record("shop.orders.events", headers))


def test_an_unknown_type_is_noted_once_by_the_service_whose_topic_it_is() -> None:
    misspelt = record("shop.orders.events", (("ce_type", b"orders.OrderPlacd.v1"),))
    orders, inventory = subscription("orders"), subscription("inventory")
    with capture_logs() as logs:
        for reader in (orders, orders, inventory):
            assert reader.interest(misspelt) is None
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("record.unknown_type", "warning")
    assert (line["type"], line["topic"]) == ("orders.OrderPlacd.v1", "shop.orders.events")


def test_a_known_type_that_wakes_nobody_here_is_not_noted() -> None:
    ours = record("shop.inventory.events", (("ce_type", b"inventory.StockReserved.v1"),))
    with capture_logs() as logs:
        assert subscription("inventory").interest(ours) is None
    assert logs == []


PLACED: Headers = (
    ("ce_id", b"e1"),
    ("ce_type", b"orders.OrderPlaced.v1"),
    ("ce_saganame", b"order-fulfilment"),
    ("ce_sagastatus", b"RUNNING"),
)
TWICE = (*PLACED, ("ce_type", b"x.Y.v1"), ("ce_saganame", b"another-saga"))
STATUS_FIRST = (*PLACED[3:], *PLACED[:3])


@pytest.mark.parametrize("headers", [PLACED, STATUS_FIRST, PLACED[:3], PLACED[:2], PLACED[1:2]])
def test_what_a_record_is_depends_on_no_order_and_on_no_record_before(headers: Headers) -> None:
    inventory = subscription("inventory")
    for _ in range(2):
        interest = inventory.interest(record("shop.orders.events", headers))
        assert interest is not None
        assert interest.saga is OrderFulfilment
        assert inventory.interest(record("shop.orders.events", TWICE)) is None


def test_an_end_is_told_by_the_value_of_the_status() -> None:
    audit = Service("audit")

    @audit.observes(OrderFulfilment.ended)
    async def note(end: SagaEnded, context: EventContext) -> None: ...

    found = Subscription(audit, TOPICS)
    for status, tells in (("RUNNING", False), ("COMPLETED", True), ("x", False), ("FAILED", True)):
        headers = (*PLACED[:3], ("ce_sagastatus", status.encode()))
        for _ in range(2):
            assert (found.interest(record("shop.orders.events", headers)) is not None) is tells


def test_made_up_headers_fill_no_memory() -> None:
    inventory = subscription("inventory")
    for number in range(3_000):
        made_up = str(number).encode()
        for headers in (
            (*PLACED, (f"other-{number}", b"")),
            (*PLACED[:3], ("ce_sagastatus", b"made up, " + made_up)),
            (*PLACED[:1], ("ce_type", made_up)),
        ):
            inventory.interest(record("shop.orders.events", headers))
    assert len(inventory._picks) <= 256
    assert len(inventory._interests) <= 2_000
    assert "made up" not in repr(inventory._interests)
