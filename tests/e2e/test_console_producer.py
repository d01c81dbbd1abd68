"""An outside producer that knows nothing of the framework: Kafka's own, in Java, a value and a key."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.e2e.reference_system import an_order, reference_system


@pytest.mark.timeout(300)
async def test_a_plain_record_runs_a_saga_to_its_end(
    kafka_servers: str, redis_url: str, postgresql_url: str, tmp_path: Path
) -> None:
    libraries = os.environ.get("SAGAS_KAFKA_LIBS")
    if not libraries:
        pytest.fail("SAGAS_KAFKA_LIBS is not set: scripts/stack up; set -a; . .stack/env; set +a")
    async with reference_system(kafka_servers, redis_url, postgresql_url, tmp_path) as system:
        for service in ("orders", "inventory", "payments", "shipping", "notifications"):
            system.start(service)
        order = an_order(7)
        producer = await asyncio.create_subprocess_exec(
            "java",
            "-cp",
            f"{libraries}/*",
            "org.apache.kafka.tools.ConsoleProducer",
            *("--bootstrap-server", kafka_servers),
            *("--topic", f"{system.namespace}.orders.events"),
            *("--reader-property", "parse.key=true", "--reader-property", "key.separator=|"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        line = f"{order.order_id}|{order.model_dump_json()}\n"
        output, _ = await producer.communicate(line.encode())
        assert producer.returncode == 0, output.decode()

        view = await system.end_of(order.order_id, timeout_s=120)
        assert view.status == "COMPLETED"
        assert view.state == "FULFILLED"
        assert [entry.event for entry in view.timeline][:4] == [
            "orders.OrderPlaced.v1",
            "inventory.StockReserved.v1",
            "payments.PaymentAuthorized.v1",
            "shipping.ShipmentCreated.v1",
        ]
        assert view.timeline[-1].event == "orders.ReceiptConfirmed.v1"
