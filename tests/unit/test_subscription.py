"""The filter of a service: what a record is to it, by its headers alone."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from sagas import Event, EventContext, Service
from sagas.core.errors import InvalidMessage
from sagas.ports import Record
from sagas.runtime.subscription import Subscription
from sagas.wire.headers import Headers
from sagas.wire.topics import Topics
from tests.handlers import Shop
from tests.samples import OrderPlaced

TOPICS = Topics("shop")


def record(topic: str, headers: Headers = ()) -> Record:
    return Record(topic, 0, 0, b"o1", b'{"order_id": "o1"}', headers, 0)


def subscription(name: str) -> Subscription:
    return Subscription(next(s for s in Shop().services if s.name == name), TOPICS)


def test_a_participant_reads_the_topics_that_concern_its_steps() -> None:
    assert subscription("shipping").topics >= {"shop.payments.events"}
    assert subscription("orders").topics >= {
        "shop.orders.events",
        "shop.inventory.events",
        "shop.payments.events",
    }


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
