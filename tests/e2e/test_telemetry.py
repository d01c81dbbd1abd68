"""Five services as processes with traces and logs switched on, seen by a collector and in their files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.reference_system import ReferenceSystem, an_order, reference_system
from tests.otlp import Collector, Received, collector

SERVICES = ("orders", "inventory", "payments", "shipping", "notifications")
FIRST, DECLINED, PAID = an_order(0), an_order(1), an_order(2)
FROM_OUTSIDE = {"orders.ReceiptConfirmed.v1"}
COMPENSATED = {
    "start order-fulfilment": None,
    "reserve_stock": "start order-fulfilment",
    "authorize_payment": "reserve_stock",
    "undo reserve_stock": "authorize_payment",
    "undo start": "undo reserve_stock",
    "saga order-fulfilment": "start order-fulfilment",
}
COMPLETED = {
    "start order-fulfilment": None,
    "reserve_stock": "start order-fulfilment",
    "authorize_payment": "reserve_stock",
    "create_shipment": "authorize_payment",
    "capture_payment": "create_shipment",
    "notify_customer": "create_shipment",
    "wait confirm_receipt": "capture_payment",
    "saga order-fulfilment": "start order-fulfilment",
}


@pytest.mark.timeout(300)
async def test_traces_and_logs_of_real_workers(
    kafka_servers: str,
    redis_url: str,
    postgresql_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with collector() as seen:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", seen.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        servers = (kafka_servers, redis_url, postgresql_url)
        async with reference_system(*servers, tmp_path) as system:
            system._environment |= {"SAGAS_LOG_LEVEL": "DEBUG", "SAGAS_LOG_FORMAT": "json"}
            for service in SERVICES:
                system.start(service)
            system.start("inventory", "-2")
            await system.place([FIRST])  # all are up, however long they took
            await system.statuses([FIRST.order_id], timeout_s=120)
            await system.place([DECLINED, PAID])
            ids = [DECLINED.order_id, PAID.order_id]
            statuses = await system.statuses(ids, timeout_s=120)
            assert statuses == {ids[0]: "COMPENSATED", ids[1]: "COMPLETED"}
            assert set(system.stop().values()) == {0}
            await check_tree(seen, ids[0], COMPENSATED)
            await check_tree(seen, ids[1], COMPLETED)
            assert seen.paths == {"/v1/traces"}
            check_logs(system, seen, ids)


async def check_tree(seen: Collector, saga_id: str, tree: dict[str, str | None]) -> None:
    """One trace, with these spans below each other, each by its own service."""
    spans = await asyncio.to_thread(seen.wait_for, saga_id, [*tree], timeout_s=30)
    steps = [one for one in spans if not one.name.startswith("observe")]
    assert len({one.span.trace_id for one in steps}) == 1
    ids = {one.span.span_id: one.name for one in steps}
    assert len(ids) == len(steps), "no span is there twice"
    found = {
        one.name: ids[one.span.parent_span_id] if one.span.parent_span_id else None for one in steps
    }
    assert found == tree
    by_service = {one.name: one.service for one in spans}
    assert by_service["reserve_stock"] == "inventory"
    assert by_service["authorize_payment"] == "payments"
    for one in steps:
        check_messaging(one)


def check_messaging(one: Received) -> None:
    """The semantic conventions of messaging."""
    assert one.attributes["messaging.system"] == "kafka"
    assert one.attributes["messaging.operation.type"] == "process"
    assert one.attributes["messaging.destination.name"].endswith((".events", ".control"))
    assert one.attributes["messaging.consumer.group.name"].endswith(f".{one.service}")
    assert "messaging.kafka.offset" in one.attributes


def check_logs(system: ReferenceSystem, seen: Collector, ids: list[str]) -> None:
    """Every line that is about a saga says which, where it was read, and its trace."""
    lines = [line for name in (*SERVICES, "inventory-2") for line in parsed(system.log_of(name))]
    told = [line for line in lines if "saga_id" in line]
    told = [line for line in told if line["saga_id"] in ids]
    assert {line["saga_id"] for line in told} == set(ids)
    for line in told:
        assert line.keys() >= {"service", "saga", "at", "message_id", "message_type", "trace_id"}, (
            line
        )
        if line["message_type"] not in FROM_OUTSIDE:
            spans = seen.of(str(line["saga_id"]))
            (trace,) = {one.span.trace_id.hex() for one in spans if one.name == "reserve_stock"}
            assert line["trace_id"] == trace, line
    changes = [(line["saga_id"], line["type"]) for line in told if line["event"] == "saga.event"]
    assert len(changes) == len(set(changes)), "one line for each change"
    assert all("step" in line for line in told if line["event"] == "saga.event")
    text = json.dumps(lines)
    assert "unit_price_cents" not in text
    assert DECLINED.customer_id not in text, "no payload is logged"


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
