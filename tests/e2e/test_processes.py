"""Five services as processes, one of them twice; one is killed in the middle of two thousand orders."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.e2e.reference_system import an_order, expected_statuses, reference_system

ORDERS = 2000


@pytest.mark.timeout(600)
async def test_a_killed_process_loses_nothing_and_doubles_nothing(
    kafka_servers: str, redis_url: str, postgresql_url: str, tmp_path: Path
) -> None:
    servers = (kafka_servers, redis_url, postgresql_url)
    async with reference_system(*servers, tmp_path) as system:
        for service in ("orders", "inventory", "payments", "shipping", "notifications"):
            system.start(service)
        system.start("inventory", "-2")
        await system.place(an_order(number) for number in range(20))  # all are up
        await system.statuses((f"order-{number}" for number in range(20)), timeout_s=120)

        orders = [an_order(number) for number in range(20, ORDERS)]
        serving = asyncio.create_task(system.serve(orders, timeout_s=400))
        await system.statuses(["order-400"], timeout_s=120)
        system.kill("inventory")
        system.start("inventory", "-3")

        expected = dict(expected_statuses(ORDERS))
        await serving
        assert await system.statuses(expected, timeout_s=60) == expected
        assert await system.findings(endings=ORDERS) == []
        codes = system.stop()
        assert codes == dict.fromkeys(codes, 0)
        assert len(codes) == 6
        for name in codes:
            assert "Traceback" not in system.log_of(name)
