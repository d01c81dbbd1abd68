"""What no declaration can break, shown at the place that guarantees it: the checks need not look for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sagas import Saga, Service, days
from sagas.application import SagaSettings, topics_of
from sagas.core.instance import SagaStatus
from sagas.runtime.subscription import Subscription
from sagas.testing import SagaTestEnvironment
from sagas.testing.accounting import WatchedBroker
from sagas.wire.topics import RETRY_TIERS_MS, Topics
from tests.definitions.broken import CHAIN
from tests.definitions.others import OTHERS
from tests.definitions.written import made
from tests.samples import OrderPlaced
from tests.samples_alternatives import OrderDelivery, PaymentConfirmed, PaymentRejected
from tests.unit.test_time import services as delivery

ENDINGS = {
    "completed, after a receipt that never came": (
        PaymentConfirmed(order_id="7"),
        SagaStatus.COMPLETED,
    ),
    "refused": (PaymentRejected(order_id="7"), SagaStatus.COMPENSATED),
}


@pytest.mark.parametrize(("answer", "ends"), ENDINGS.values(), ids=ENDINGS)
async def test_the_partition_key_of_every_record_is_the_saga_id(
    answer: PaymentConfirmed | PaymentRejected, ends: SagaStatus
) -> None:
    """S11: starts, outcomes, answers from outside, timers and attempts that wait in topics."""
    async with SagaTestEnvironment(delivery()) as env:
        env.fail(OrderDelivery.wrap_gift, times=4)
        await env.start(OrderPlaced(order_id="7"))
        await env.run()
        await env.client.complete(OrderDelivery.confirm_payment, "7", answer)
        await env.advance(days(8).total_seconds())
        assert env.status("7") is ends
        broker = env.platform.broker
        assert isinstance(broker, WatchedBroker)
        records = [record for topic in broker.topics for record in broker.records(topic)]
    seen = {record.topic.rpartition(".")[2] for record in records}
    assert seen >= {"events", "10s"}
    assert {(record.key, dict(record.headers)["ce_sagaid"]) for record in records} == {(b"7", b"7")}


async def test_what_belongs_to_one_saga_starts_no_other() -> None:
    """Why S3 reports a start that another saga emits."""
    names = made(CHAIN)
    async with SagaTestEnvironment([names["payments"], names["shipping"]]) as env:
        await env.start(names["Placed"](order_id="7"))
        await env.run()
        assert env.status("7", saga=names["Ordering"]) is SagaStatus.COMPLETED
        assert env.status("7", saga=names["Delivery"]) is None


@pytest.mark.parametrize("project", OTHERS.values(), ids=OTHERS)
def test_what_is_read_is_among_the_topics_that_are_created(
    project: tuple[Sequence[type[Saga]], Sequence[Service]],
) -> None:
    """S15: the topics that a service reads, and its own dead letters and retries."""
    sagas, services = project
    created = {topic.name for topic in topics_of(sagas, services, SagaSettings(namespace="shop"))}
    topics = Topics("shop")
    participants = {name for saga in sagas for name in saga.definition.services}
    for service in services:
        tiers = RETRY_TIERS_MS if service.name in participants else ()
        retries = frozenset(topics.retry(service.name, tier) for tier in tiers)
        assert Subscription(service, topics, retry_topics=retries).topics <= created
        assert topics.dead_letters(service.name) in created
