"""One suite, every broker: the fixture ``world`` runs a test on memory and on a real Kafka."""

import uuid
from collections.abc import AsyncIterator

import pytest

from sagas.adapters.clock import SystemClock
from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.adapters.memory.broker import MemoryBroker
from sagas.ports import Broker, BrokerAdmin, NewTopic
from tests.contract.broker.world import World

PARTITIONS = 4


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    broker: Broker
    admin: BrokerAdmin
    if request.param == "memory":
        broker = admin = MemoryBroker(SystemClock())
    else:
        servers = request.getfixturevalue("kafka_servers")
        # Members hear of a rebalance by their heartbeat: a short one makes the tests quick.
        settings = KafkaSettings(heartbeat_interval_ms=200, metadata_timeout_ms=2_000)
        broker = KafkaBroker(servers, client_id="contract", settings=settings)
        admin = KafkaAdmin(servers, client_id="contract", settings=settings)
    name = f"contract-{uuid.uuid4().hex}"
    await broker.start()
    world = World(broker, admin, topic=name, group=f"{name}-group")
    try:
        await admin.create_topics([NewTopic(name=name, partitions=PARTITIONS)])
        yield world
    finally:
        await world.close()
        await broker.stop()
