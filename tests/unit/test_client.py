"""The client: what it says to callers who are wrong, late or too early."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from sagas.adapters.clock import SystemClock
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.core.errors import ContractViolation
from sagas.ports import Broker, BrokerUnavailable, OutgoingRecord, SagaTable
from sagas.runtime.client import SagaClient
from sagas.testing import SagaTestEnvironment
from sagas.wire.topics import Topics
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced

ORDER = OrderPlaced(order_id="o-1")


class Away(MemoryBroker):
    async def publish(self, record: OutgoingRecord) -> None:
        raise BrokerUnavailable("nobody is there")


def client_on(broker: Broker | None = None, table: SagaTable | None = None) -> SagaClient:
    return SagaClient(
        [OrderFulfilment],
        topics=Topics("test"),
        broker=broker or MemoryBroker(SystemClock(), auto_create=True),
        table=table or MemorySagaTable(),
        clock=SystemClock(),
    )


async def test_a_closed_platform_is_said_and_not_waited_for() -> None:
    broker = KafkaBroker("127.0.0.1:1", client_id="tests", settings=KafkaSettings())
    table = RedisSagaTable(
        RedisTableSettings(url=SecretStr("redis://127.0.0.1:1"), namespace="test")
    )
    client = client_on(broker, table)
    async with asyncio.timeout(5):
        with pytest.raises(
            ContractViolation, match="the platform of this client is closed; use it"
        ):
            await client.start(ORDER)
        with pytest.raises(
            ContractViolation, match="the platform of this client is closed; use it"
        ):
            await client.get(OrderFulfilment, "o-1")


async def test_a_start_can_be_bounded() -> None:
    client = client_on(Away(SystemClock()))
    with pytest.raises(TimeoutError, match=r"No answer after 0\.05 s"):
        await client.start(ORDER, timeout_s=0.05)


async def test_what_is_no_event_and_no_saga_is_said() -> None:
    client = client_on()
    with pytest.raises(ContractViolation, match=r"a class; give an event, such as OrderPlaced\("):
        await client.start(OrderPlaced)  # type: ignore[arg-type]
    with pytest.raises(ContractViolation, match="is no event; give an instance"):
        await client.start({"order_id": "o-1"})  # type: ignore[arg-type]
    with pytest.raises(ContractViolation, match="'loan' is no saga; give its class"):
        await client.wait_for_end("loan", "o-1")  # type: ignore[arg-type]
    with pytest.raises(ContractViolation, match="is no saga; give its class"):
        await client.get("loan", "o-1")  # type: ignore[arg-type]


async def test_the_wait_for_a_parked_saga_says_why() -> None:
    async with SagaTestEnvironment(Shop().services) as env:
        env.fail(OrderFulfilment.create_shipment, times=None)
        saga_id = await env.start(ORDER)
        await env.run()
        with pytest.raises(TimeoutError) as raised:
            await env.client.wait_for_end(OrderFulfilment, saga_id, timeout_s=0)
        env.expect_unfinished(saga_id)
    assert "it is PARKED and waits for an operator, because of create_shipment" in str(raised.value)
    assert "as the test ordered" in str(raised.value)


async def test_the_wait_for_a_running_saga_says_for_whom() -> None:
    async with SagaTestEnvironment([Shop().inventory()]) as env:
        saga_id = await env.start(ORDER)
        await env.run()
        with pytest.raises(TimeoutError, match="waits for payments to perform authorize_payment"):
            await env.client.wait_for_end(OrderFulfilment, saga_id, timeout_s=0)
        env.expect_unfinished(saga_id)
