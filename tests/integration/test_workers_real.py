"""Workers on real servers: who they are, how far behind, and what becomes of one that is killed."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli_project import MODULES, Project, write_project
from tests.integration.test_cli_real import (
    DEADLINE_S,
    Running,
    Start,
    place_orders,
    servers,
    start,
)

__all__ = ["servers", "start"]  # the fixtures of the other module


SLOW = MODULES["inventory"].replace(
    "    return StockReserved(",
    '    print(\'{"event": "reserves"}\', file=sys.stderr, flush=True)\n'
    "    while not Path('go').exists():\n"
    "        await asyncio.sleep(0.02)\n"
    "    return StockReserved(",
)
HEAD = "import asyncio\nimport sys\nfrom pathlib import Path\n"


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    """Its inventory reserves while there is a file ``go``."""
    (tmp_path / "go").touch()
    return write_project(tmp_path, modules={**MODULES, "inventory": HEAD + SLOW})


def workers(shop: Project, servers: dict[str, str]) -> dict[str, Any]:
    ended = shop.sagas("workers", "--json", "--timeout", "20", **servers)
    assert ended.code == 0, ended
    document: dict[str, Any] = json.loads(ended.out)
    assert document["problem"] is None
    return {one["service"]: one for one in document["services"]}


def until(
    shop: Project, servers: dict[str, str], wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """What `sagas workers` says once it is as wanted."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not wanted(found := workers(shop, servers)):
        assert time.monotonic() < deadline_s, found
    return found


def test_workers_are_shown_with_what_they_are(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    mine = servers | {"SAGAS_TAGS": "blue, zone=a"}
    process = start("--all", "--create-topics", **mine)
    process.wait_for("worker.running", 3)
    place_orders(shop, servers, "o1", "o2")
    found = until(
        shop,
        servers,
        lambda seen: (
            all(one["behind"] == 0 for one in seen.values())
            and all(w["partitions"] for one in seen.values() for w in one["workers"])
        ),
    )
    assert found.keys() == {"orders", "inventory", "payments"}
    (worker,) = found["inventory"]["workers"]
    assert worker["state"] == "running"
    assert (worker["version"], worker["tags"]) == ("1", ["blue", "zone=a"])
    assert worker["pid"] == process.process.pid
    namespace = servers["SAGAS_NAMESPACE"]
    assert worker["partitions"][f"{namespace}.orders.events"] == [0, 1]
    shown = shop.sagas("workers", "--service", "inventory", "--timeout", "20", **servers)
    assert f"/{process.process.pid}" in shown.out
    assert "tags blue, zone=a" in shown.out
    assert process.ends(signal.SIGTERM) == 0
    assert all(not one["workers"] for one in workers(shop, servers).values())
    assert "inventory: no worker" in shop.sagas("workers", "--timeout", "20", **servers).out


def test_a_service_that_is_down_falls_behind(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    process = start("orders", "inventory", "--create-topics", **servers)
    process.wait_for("worker.running", 2)
    order(shop, servers, "o1", "o2", "o3")
    reserved = f"{servers['SAGAS_NAMESPACE']}.inventory.events"

    def unread(seen: dict[str, Any]) -> int:
        places = seen["payments"]["partitions_behind"]
        return sum(one["behind"] for one in places if one["topic"] == reserved)

    found = until(shop, servers, lambda seen: unread(seen) == 3)
    assert found["payments"]["workers"] == []
    assert found["payments"]["behind"] >= 3


def test_a_worker_that_is_killed_is_forgotten(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    first = start("inventory", "--create-topics", **servers)
    first.wait_for("worker.running")
    second = start("inventory", **servers)
    second.wait_for("worker.running")

    def pids(seen: dict[str, Any]) -> set[int]:
        return {worker["pid"] for worker in seen["inventory"]["workers"]}

    both = {first.process.pid, second.process.pid}
    until(shop, servers, lambda seen: pids(seen) == both)
    first.process.kill()
    until(shop, servers, lambda seen: pids(seen) == {second.process.pid})


def answer(process: Running, path: str) -> tuple[int, str]:
    """What the process says of itself over HTTP: code and word."""
    (listening,) = process.wait_for("livez.listening")
    address = listening["address"].replace("0.0.0.0", "127.0.0.1").replace("/livez", path)
    try:
        with urllib.request.urlopen(address, timeout=DEADLINE_S) as response:
            return response.status, json.load(response)["status"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)["status"]


def until_answer(process: Running, path: str, wanted: tuple[int, str]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while (said := answer(process, path)) != wanted:
        assert time.monotonic() < deadline_s, said


def order(shop: Project, servers: dict[str, str], *ids: str) -> None:
    """Start sagas whose ends nobody waits for."""
    for id_ in ids:
        payload = json.dumps({"order_id": id_})
        started = shop.sagas(
            "start", "ordering", "--payload", payload, "--timeout", "20", **servers
        )
        assert started.code == 0, started


def test_a_worker_that_drains_says_so(shop: Project, servers: dict[str, str], start: Start) -> None:
    (shop.directory / "go").unlink()
    process = start("inventory", "--create-topics", "--livez-port", "0", **servers)
    until_answer(process, "/health", (200, "accepting"))
    assert answer(process, "/readyz") == (200, "ready")
    order(shop, servers, "o1")
    process.wait_for("reserves")
    process.process.send_signal(signal.SIGTERM)
    until_answer(process, "/health", (503, "draining"))
    assert answer(process, "/readyz") == (503, "not ready")
    found = until(
        shop, servers, lambda seen: seen["inventory"]["workers"][0]["state"] == "stopping"
    )
    (worker,) = found["inventory"]["workers"]
    assert worker["in_flight"] >= 1
    assert worker["health"] == "draining"
    (shop.directory / "go").touch()
    assert process.process.wait(DEADLINE_S) == 0
    assert workers(shop, servers)["inventory"]["workers"] == []


def test_a_worker_with_too_much_begun_says_so_and_takes_nothing_new(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    (shop.directory / "go").unlink()
    mine = servers | {"SAGAS_BACKLOG_MAX": "3"}
    process = start("inventory", "--create-topics", "--livez-port", "0", **mine)
    until_answer(process, "/health", (200, "accepting"))
    order(shop, servers, "o1", "o2", "o3")
    until_answer(process, "/health", (429, "backlog"))
    assert answer(process, "/readyz") == (200, "ready")
    order(shop, servers, "o4", "o5", "o6")
    found = until(
        shop, servers, lambda seen: seen["inventory"]["workers"][0]["health"] == "backlog"
    )
    assert found["inventory"]["behind"] >= 3
    assert len(process.wait_for("reserves", 3)) == 3
    (shop.directory / "go").touch()
    process.wait_for("reserves", 6)
    until_answer(process, "/health", (200, "accepting"))
    assert process.ends(signal.SIGTERM) == 0


def test_a_worker_with_too_little_memory_leaves_to_be_started_again(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    process = start("inventory", "--create-topics", **servers, SAGAS_MEMORY_LIMIT="20MiB")
    (leaving,) = process.wait_for("worker.stopping")
    # It leaves while it joins its group: Kafka may keep that request for as long as a rebalance takes.
    assert process.process.wait(2 * DEADLINE_S) == 7
    assert leaving["because"] == "failed"
    assert "of 20 MiB of memory are used" in leaving["error"]
    process.wait_for("worker.stopped")
    assert process.lines[-1].startswith("error: ")
    assert "Start it again" in process.lines[-1]


def test_a_bounded_handler_lets_the_others_wait(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    (shop.directory / "go").unlink()
    process = start("--all", "--create-topics", **servers, SAGAS_STEP_CONCURRENCY="2")
    process.wait_for("worker.running", 3)
    order(shop, servers, "o1", "o2", "o3", "o4")

    def in_hand(seen: dict[str, Any]) -> int:
        return sum(worker["in_flight"] for worker in seen["inventory"]["workers"])

    until(shop, servers, lambda seen: in_hand(seen) >= 4)
    assert len(process.wait_for("reserves", 2)) == 2
    (shop.directory / "go").touch()
    process.wait_for("reserves", 4)
    until(shop, servers, lambda seen: all(one["behind"] == 0 for one in seen.values()))
    assert process.ends(signal.SIGTERM) == 0
