"""What is said of a server that does not answer: once, in words, and no more than is known."""

from __future__ import annotations

import pytest
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError
from pydantic import SecretStr
from structlog.testing import capture_logs

from sagas.adapters.kafka.errors import translated
from sagas.adapters.kafka.settings import KafkaSecurity, connection
from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.adapters.sql import SqlJournal, open_engine
from sagas.core.definition import Direction
from sagas.ports import JournalKey, JournalOutcome, JournalUnavailable, TableUnavailable
from sagas.testing import SagaTestEnvironment
from tests.handlers import Shop
from tests.samples import OrderPlaced, StockReserved

KEY = JournalKey("saga", "o-1", "step", Direction.FORWARD, 0)


async def test_a_redis_that_is_not_there_has_written_nothing() -> None:
    address = SecretStr("redis://127.0.0.1:1")
    table = RedisSagaTable(RedisTableSettings(url=address, namespace="test", attempts=1))
    with pytest.raises(TableUnavailable, match="did not answer") as raised:
        await table.start()
    assert "not known" not in str(raised.value)


async def test_a_database_that_is_not_there_has_begun_nothing() -> None:
    async def action(_: object) -> JournalOutcome:
        raise AssertionError

    engine = open_engine("postgresql://127.0.0.1:1/none")
    with pytest.raises(JournalUnavailable, match="did not answer") as raised:
        await SqlJournal(engine).forward(KEY, action)
    await engine.dispose()
    assert "not known" not in str(raised.value)


def test_kafkas_errors_are_said_once() -> None:
    at = connection("127.0.0.1:1", "tests", KafkaSecurity())
    refused = KafkaConnectionError(
        "Unable to bootstrap from [('127.0.0.1', 1, <AddressFamily.AF_UNSPECIFIED: 0>)]"
    )
    said = str(translated(refused, at, "connecting a producer"))
    assert "KafkaConnectionError: Unable to bootstrap from [127.0.0.1:1]; " in said
    assert "AddressFamily" not in said
    assert "a topic: RequestTimedOutError; " in str(
        translated(RequestTimedOutError(), at, "a topic")
    )


async def test_a_dead_letter_names_its_topic_and_has_no_stray_line() -> None:
    with capture_logs() as logs:
        async with SagaTestEnvironment(Shop().services) as env:
            env.expect_dead_letters(1)
            await env.start(OrderPlaced(order_id="o-1"))
            await env.publish(StockReserved(order_id="o-2"), saga_id="o-2")
            await env.run()
    (line,) = [log for log in logs if log["event"] == "message.dead_lettered"]
    assert line["dlq"] == env.platform.topics.dead_letters("payments")
    assert line["error_type"] == "UnknownInstance"
    assert "exception" not in line
