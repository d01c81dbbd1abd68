"""A connection that breaks in the middle of everything, on the loop that workers run on."""

import asyncio

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient

from sagas.adapters.kafka.connections import guard
from tests.integration.kafka_proxy import KafkaProxy

DEADLINE_S = 20


def _broken_then_asked(servers: str, *, guarded: bool) -> bool:
    """Whether the client learns where partitions are after its connection has broken."""

    async def scenario() -> bool:
        async with KafkaProxy(servers).running() as proxy, asyncio.timeout(DEADLINE_S):
            client = AIOKafkaClient(bootstrap_servers=proxy.address, client_id="connections")
            if guarded:
                guard(client)
            await client.bootstrap()
            try:
                return await _asked(client, proxy)
            finally:
                await client.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(scenario())


async def _asked(client: AIOKafkaClient, proxy: KafkaProxy) -> bool:
    await client.force_metadata_update()
    (connection,) = client._conns.values()
    reader = connection._reader
    proxy.reset()
    while reader.exception() is None:  # noqa: ASYNC110 - turn by turn is the point
        await asyncio.sleep(0)
    # uvloop has closed it, and the task in which aiokafka reads comes to know in the next turn.
    assert connection.connected()
    return bool(await client._metadata_update(client.cluster, []))


def test_a_client_survives_a_connection_that_breaks_before_it_is_told(kafka_servers: str) -> None:
    assert _broken_then_asked(kafka_servers, guarded=True)


def test_without_a_guard_it_does_not(kafka_servers: str) -> None:
    # Once this fails aiokafka has learned it, and the guard can go.
    with pytest.raises(RuntimeError, match="closed"):
        _broken_then_asked(kafka_servers, guarded=False)
