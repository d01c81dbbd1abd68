"""The monitor lives on the right to read: it can not write to a topic, and knows no saga table."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.application import SagaSettings, broker_admin, topics_of
from sagas.core.errors import SettingsError
from sagas.exports.kafka_access import Grant, kafka_commands, saga_topics
from sagas.ports import OutgoingRecord
from sagas.wire.topics import Topics
from tests.e2e.monitor_process import monitor_process
from tests.integration.secured_kafka import PASSWORD, SecuredKafka, secured_kafka

pytestmark = [pytest.mark.slow, pytest.mark.real]

TOPICS = Topics("shop")
MONITOR = TOPICS.group("monitor")
START = b'{"order_id": "%d", "customer_id": "somebody", "lines": []}'


async def publish_starts(kafka: SecuredKafka) -> None:
    broker = KafkaBroker(kafka.open, client_id="test", settings=KafkaSettings())
    await broker.start()
    topic = TOPICS.events("orders")
    headers = (("ce_type", b"orders.OrderPlaced.v1"),)
    for number in range(3):
        await broker.publish(OutgoingRecord(topic, b"%d" % number, START % number, headers))
    await broker.stop()


async def test_the_monitor_needs_to_read_and_nothing_else(tmp_path: Path) -> None:
    topics = sorted(saga_topics(OrderFulfilment, TOPICS))
    reads = Grant(MONITOR, ("Read",), topics=tuple(topics), groups=(MONITOR,))
    folder = tmp_path / "kafka"
    folder.mkdir()
    with secured_kafka(folder, [MONITOR]) as kafka:
        servers = SagaSettings(namespace="shop", kafka=kafka.open, partitions=1)
        wanted = topics_of([OrderFulfilment], [], servers)
        await broker_admin(servers, client_id="test").create_topics(wanted)
        kafka.run(kafka_commands([reads]))
        await publish_starts(kafka)

        environment = {
            "SAGAS_NAMESPACE": "shop",
            "SAGAS_KAFKA": kafka.secured,
            "SAGAS_KAFKA_PROTOCOL": "SASL_PLAINTEXT",
            "SAGAS_KAFKA_MECHANISM": "PLAIN",
            "SAGAS_KAFKA_USERNAME": MONITOR,
            "SAGAS_KAFKA_PASSWORD": PASSWORD,
        }
        with monitor_process(tmp_path, environment) as monitor:
            monitor.start()
            views = await monitor.views_when(
                lambda views: (
                    views["sagas"]["order-fulfilment"]["live"]["RUNNING"] == 3
                    and views["as_of"] is not None
                )
            )
            assert views["behind_records"] == 0
            assert monitor.stop() == 0
            assert PASSWORD not in monitor.log
            assert "Traceback" not in monitor.log

        # The rules are what they are taken for: who has them can not even begin to write.
        user = KafkaBroker(kafka.secured, client_id=MONITOR, settings=kafka.settings_of(MONITOR))
        with pytest.raises(SettingsError, match="refuses connecting a producer"):
            await user.start()
