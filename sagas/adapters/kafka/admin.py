"""Looks at Kafka's topics, reads and creates them. Connects for each call: it is called at start-up and by
people.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import admin
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from sagas.adapters.kafka.connections import guard
from sagas.adapters.kafka.errors import CONNECTION_ERRORS, missing_topic, translated
from sagas.adapters.kafka.lag import records_behind
from sagas.adapters.kafka.reading import read_to_end
from sagas.adapters.kafka.settings import KafkaSettings, connection
from sagas.core.errors import SettingsError
from sagas.ports import (
    BrokerUnavailable,
    NewTopic,
    Record,
    TopicDescription,
    TopicPartition,
)

__all__ = ["KafkaAdmin", "configuration_of"]

_NO_ERROR = 0
_TOPIC_ALREADY_EXISTS = 36
_RETRIABLE = frozenset({7, 41})  # request timed out, not the controller
_VISIBLE_POLL_S = 0.05


class KafkaAdmin:
    """The BrokerAdmin on Kafka. All calls are safe to repeat."""

    def __init__(self, bootstrap_servers: str, *, client_id: str, settings: KafkaSettings) -> None:
        self._connection = connection(bootstrap_servers, client_id, settings.security)
        self._settings = settings

    async def describe_topics(self) -> Mapping[str, TopicDescription]:
        """All topics by name, Kafka's internal ones left out. Raises BrokerUnavailable."""
        async with self._client("describing the topics") as client:
            return _described(await client.describe_topics())

    async def create_topics(self, topics: Sequence[NewTopic]) -> None:
        """Create topics and wait until they are visible; one that exists is left as it is.

        Raises BrokerUnavailable, also when a topic stays invisible, and SettingsError where the
        broker refuses a topic, saying why; other topics of the same call may be there then.
        """
        if not topics:
            return
        async with self._client("creating topics") as client:
            # Whether it exists is asked first: the broker validates a request before it looks.
            there = _described(await client.describe_topics())
            wanted = {new.name: _as_request(new) for new in topics if new.name not in there}
            if not wanted:
                return
            response = await client.create_topics(list(wanted.values()))
            for name, code, *message in response.topic_errors:
                _check(name, code, message)
            while wanted.keys() - _described(await client.describe_topics()).keys():  # noqa: ASYNC110
                await asyncio.sleep(_VISIBLE_POLL_S)

    async def read_to_end(self, topic: str) -> AsyncIterator[Record]:
        """Every record that is there now, in offset order per partition; joins no group.

        Raises BrokerUnavailable, and SettingsError for a topic that is missing.
        """
        described = (await self.describe_topics()).get(topic)
        if described is None:
            raise missing_topic(topic, self._connection)
        partitions = [TopicPartition(topic, number) for number in range(described.partitions)]
        async for record in self.read_partitions(partitions):
            yield record

    async def read_partitions(
        self, partitions: Collection[TopicPartition]
    ) -> AsyncIterator[Record]:
        """Every record that is there now, in offset order for each partition; joins no group.

        Raises BrokerUnavailable.
        """
        async for record in read_to_end(self._connection, self._settings, partitions):
            yield record

    async def read_last(
        self, partitions: Collection[TopicPartition], *, offsets: int
    ) -> AsyncIterator[Record]:
        """The records of the last so many offsets of each partition, in offset order; joins no group.

        Raises BrokerUnavailable.
        """
        reading = read_to_end(self._connection, self._settings, partitions, last=offsets)
        async for record in reading:
            yield record

    async def retention_ms(self, topics: Collection[str]) -> Mapping[str, int]:
        """How long each topic keeps a record, as the broker says: its own setting or the default.

        Raises BrokerUnavailable.
        """
        there = await self.describe_topics()
        wanted = [
            ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": None})
            for topic in topics
            if topic in there
        ]
        if not wanted:
            return {}
        async with self._client("asking how long topics keep what they hold") as client:
            responses = await client.describe_configs(wanted)
        return dict(_retention(one) for response in responses for one in response.resources)

    async def behind(
        self, groups: Mapping[str, Collection[str]]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        """How many records each group has not committed, by partition of its topics; a topic that is missing
        is left out. Raises BrokerUnavailable.
        """
        async with self._client("asking how far groups have come") as client:
            there = _described(await client.describe_topics())
            wanted = {
                group: [
                    TopicPartition(topic, number)
                    for topic in sorted(topics)
                    if topic in there
                    for number in range(there[topic].partitions)
                ]
                for group, topics in groups.items()
            }
            return await records_behind(
                client, wanted, connection=self._connection, settings=self._settings
            )

    @asynccontextmanager
    async def _client(self, doing: str) -> AsyncIterator[admin.AIOKafkaAdminClient]:
        timeout_ms = self._settings.request_timeout_ms
        client = admin.AIOKafkaAdminClient(**self._connection, request_timeout_ms=timeout_ms)
        guard(client._client)  # noqa: SLF001 - see there
        try:
            async with asyncio.timeout((self._settings.connect_timeout_ms + timeout_ms) / 1000):
                await client.start()
                yield client
        except CONNECTION_ERRORS as error:
            raise translated(error, self._connection, doing) from error
        finally:
            await client.close()


def _retention(resource: Sequence[Any]) -> tuple[str, int]:
    """One topic of the answer: code, message, kind, name, and its settings by name and value."""
    code, message, _, topic, entries = resource[:5]
    if code != _NO_ERROR:
        raise BrokerUnavailable(f"Kafka does not say how long {topic} keeps records: {message}")
    return topic, next(int(entry[1]) for entry in entries if entry[0] == "retention.ms")


def configuration_of(new: NewTopic) -> dict[str, str]:
    """The settings that a topic is created with."""
    # With `producer`, Kafka's default, a batch of some hundred kilobytes may unfold to gigabytes in every
    # consumer, for aiokafka has no bound, and each codec has to be installed there. So the broker unfolds
    # what comes, and refuses what is larger than `max.message.bytes` then.
    configuration = {"compression.type": "uncompressed"}
    if new.retention_ms is not None:
        configuration["retention.ms"] = str(new.retention_ms)
    return configuration


def _as_request(new: NewTopic) -> admin.NewTopic:
    configuration = configuration_of(new)
    return admin.NewTopic(
        new.name, new.partitions, new.replication_factor, topic_configs=configuration
    )


def _check(name: str, code: int, message: Sequence[str | None]) -> None:
    """Each topic has a code of its own; aiokafka never raises."""
    if code in {_NO_ERROR, _TOPIC_ALREADY_EXISTS}:
        return
    reason = f"error {code} {' '.join(filter(None, message))}"
    if code in _RETRIABLE:
        raise BrokerUnavailable(f"Kafka did not confirm creating topic {name}: {reason}; try again")
    raise SettingsError(f"Kafka refuses to create topic {name}: {reason}")


def _described(topics: Sequence[Mapping[str, Any]]) -> dict[str, TopicDescription]:
    """Topics with a leader for each partition: others cannot be used yet."""
    return {
        topic["topic"]: TopicDescription(
            name=topic["topic"],
            partitions=len(topic["partitions"]),
            replication_factor=min(len(part["replicas"]) for part in topic["partitions"]),
        )
        for topic in topics
        if topic["error_code"] == _NO_ERROR
        and not topic["is_internal"]
        and topic["partitions"]
        and all(part["leader"] >= 0 for part in topic["partitions"])
    }
