"""The Broker on Kafka: one producer for the process, and consumers as they are asked for."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import Any

from sagas.adapters.kafka.consumer import KafkaConsumer
from sagas.adapters.kafka.producer import KafkaProducer
from sagas.adapters.kafka.settings import KafkaSettings, connection
from sagas.ports import OutgoingRecord, RebalanceListener

__all__ = ["KafkaBroker"]


class KafkaBroker:
    """Publishes and consumes through aiokafka. Consumers are stopped by whoever started them."""

    def __init__(self, bootstrap_servers: str, *, client_id: str, settings: KafkaSettings) -> None:
        self._connection = connection(bootstrap_servers, client_id, settings.security)
        self._settings = settings
        self._producer = KafkaProducer(self._connection, settings)

    async def start(self) -> None:
        """Connect the producer. Raises BrokerUnavailable, leaving nothing open."""
        await self._producer.start()

    async def stop(self) -> None:
        """Flush and close the producer, within twice the stop timeout. Safe to repeat."""
        await self._producer.stop()

    def publish(self, record: OutgoingRecord) -> Coroutine[Any, Any, None]:
        """Return once all in-sync replicas have the record; batches with concurrent calls.

        At-least-once: after BrokerUnavailable the record may be there, publish it again. Raises
        MessageTooLarge, and SettingsError for a topic that is missing or not allowed.
        """
        return self._producer.publish(record)

    def consumer(
        self,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
        seldom: Mapping[str, int] = MappingProxyType({}),
    ) -> KafkaConsumer:
        """A member of ``group`` reading ``topics``; a new group starts at the earliest offset.

        While others have records, those of ``seldom`` come so many milliseconds and a fetch later.
        """
        return KafkaConsumer(
            self._connection, self._settings, topics, group=group, listener=listener, seldom=seldom
        )
