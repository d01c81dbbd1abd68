"""The command line on real servers: from no topics to sagas that are listed and shown."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sagas.application import SagaSettings, client_of, real_platform
from tests.cli_project import Project, write_project

DEADLINE_S = 60


@pytest.fixture
def servers(kafka_servers: str, redis_url: str) -> dict[str, str]:
    """The settings of one test: real servers, a namespace of its own."""
    return {
        "SAGAS_KAFKA": kafka_servers,
        "SAGAS_REDIS": redis_url,
        "SAGAS_NAMESPACE": f"cli-{uuid4().hex[:12]}",
        "SAGAS_PARTITIONS": "2",
        "SAGAS_LOG_FORMAT": "json",
    }


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


class Running:
    """`sagas run` as a process, and what it logs as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._ended = False
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def wait_for(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """The log lines of that event, once there are so many."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._count(event) >= times, DEADLINE_S)
        found = [line for line in self.logged if line["event"] == event]
        assert len(found) >= times, "".join(self.lines)
        return found

    def wait_for_line(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Until such a line is logged."""
        with self._news:
            self._news.wait_for(lambda: self._ended or any(map(wanted, self.logged)), DEADLINE_S)
        assert any(map(wanted, self.logged)), "".join(self.lines)

    def _count(self, event: str) -> int:
        return sum(line["event"] == event for line in self.logged)

    def ends(self, *signals: signal.Signals) -> int:
        for one in signals:
            self.process.send_signal(one)
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


Start = Callable[..., Running]


@pytest.fixture
def start(shop: Project) -> Iterator[Start]:
    started: list[Running] = []

    def run(*arguments: str, **variables: str) -> Running:
        started.append(Running(shop.start("run", *arguments, **variables)))
        return started[-1]

    yield run
    for one in started:
        one.close()


def place_orders(shop: Project, servers: dict[str, str], *ids: str) -> None:
    """Start the sagas with a client, as a service would, and wait for their ends."""
    namespace: dict[str, Any] = {}
    exec((shop.directory / "shop/ordering.py").read_text(), namespace)
    settings = SagaSettings(
        kafka=servers["SAGAS_KAFKA"],
        redis=servers["SAGAS_REDIS"],
        namespace=servers["SAGAS_NAMESPACE"],
    )

    async def run() -> None:
        async with (
            asyncio.timeout(DEADLINE_S),
            real_platform(settings, client_id="test") as platform,
        ):
            client = client_of(platform, [namespace["Ordering"]])
            for id_ in ids:
                await client.start(namespace["OrderPlaced"](order_id=id_))
            for id_ in ids:
                await client.wait_for_end(namespace["Ordering"], id_)

    asyncio.run(run())


def test_topics_are_planned_and_created(shop: Project, servers: dict[str, str]) -> None:
    planned = shop.process("topics", "plan", "--output", "json", **servers)
    assert planned.code == 3
    document = json.loads(planned.out)
    assert document.keys() == {"namespace", "kafka", "topics"}
    namespace = servers["SAGAS_NAMESPACE"]
    assert document["topics"][0] == {
        "name": f"{namespace}.orders.events",
        "state": "missing",
        "partitions_wanted": 2,
        "partitions": None,
    }
    assert {topic["state"] for topic in document["topics"]} == {"missing"}
    applied = shop.process("topics", "apply", **servers)
    assert applied.code == 0
    assert f"19 created on {servers['SAGAS_KAFKA']}." in applied.out
    again = shop.process("topics", "plan", **servers)
    assert again.code == 0
    assert "19 ok" in again.out
    other = shop.process("topics", "apply", **servers | {"SAGAS_PARTITIONS": "3"})
    assert other.code == 3
    assert "19 differs" in other.out
    assert other.err == ""


def test_without_topics_it_does_not_start(shop: Project, servers: dict[str, str]) -> None:
    ended = shop.process("run", "inventory", **servers)
    assert ended.code == 3
    assert "19 of 19 topics are missing" in ended.only_line
    assert "`sagas topics apply`" in ended.only_line


def check_metrics(address: str, *, ended: int) -> None:
    """What the process says of its three workers, and of what they have done."""
    with urllib.request.urlopen(address, timeout=DEADLINE_S) as page:
        measured = page.read().decode()
    for service in ("orders", "inventory", "payments"):
        assert f'sagas_worker_running{{service="{service}"}} 1.0' in measured
        assert f'sagas_consumer_lag_records{{partition="0",service="{service}"' in measured
    counts = re.findall(r"^sagas_ended_total\{.*\} (.*)$", measured, re.MULTILINE)
    assert sum(map(float, counts)) == ended


def test_sagas_run_are_listed_and_shown_and_drained(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    process = start("--all", "--create-topics", "--livez-port", "0", **servers)
    address = process.wait_for("livez.listening")[0]["address"].replace("0.0.0.0", "127.0.0.1")
    assert {line["service"] for line in process.wait_for("worker.running", 3)} == {
        "orders",
        "inventory",
        "payments",
    }
    with urllib.request.urlopen(address, timeout=DEADLINE_S) as response:
        assert json.load(response) == {"status": "ok"}
    place_orders(shop, servers, "o1", "poor2", "o3")
    check_metrics(address.replace("/livez", "/metrics"), ended=3)

    listed = json.loads(shop.process("list", "--output", "json", **servers).out)
    assert {saga["id"]: saga["status"] for saga in listed["sagas"]} == {
        "o1": "COMPLETED",
        "poor2": "COMPENSATED",
        "o3": "COMPLETED",
    }
    assert listed["sagas"][0].keys() == {
        "id",
        "saga",
        "status",
        "state",
        "changed_at",
        "waits_for",
        "reason",
        "problem",
    }
    assert listed["counts"] == {
        "RUNNING": 0,
        "COMPENSATING": 0,
        "PARKED": 0,
        "COMPLETED": 2,
        "COMPENSATED": 1,
        "FAILED": 0,
    }
    few = shop.process("list", "--status", "completed", "--limit", "1", **servers)
    assert few.code == 0
    assert few.out.endswith("2 COMPLETED, 1 COMPENSATED. 1 of 2 are shown; --limit shows more.\n")
    none = shop.process("list", "--status", "parked", **servers)
    assert none.out == "None is PARKED; there are 2 COMPLETED, 1 COMPENSATED.\n"

    shown = json.loads(shop.process("show", "poor2", "-o", "json", "--payloads", **servers).out)
    assert (shown["status"], shown["saga"]) == ("COMPENSATED", "ordering")
    assert [entry["event"].split(".")[1] for entry in shown["timeline"]] == [
        "OrderPlaced",
        "StockReserved",
        "PaymentDeclined",
        "StockReleased",
        "OrderCancelled",
    ]
    assert shown["timeline"][2]["payload"] == {"order_id": "poor2", "reason": "no funds"}
    assert shown["timeline"][0]["since_cause_ms"] is None
    assert shown["timeline"][1]["since_cause_ms"] >= 0
    table = shop.process("show", "poor2", **servers)
    assert "turned back because  PaymentDeclined (order_id=poor2, reason=no funds)" in table.out
    assert "payload" not in json.dumps(
        json.loads(shop.process("show", "o1", "-o", "json", **servers).out)
    )
    check_picture(shop, servers)
    unknown = shop.process("show", "o4", **servers)
    assert unknown.code == 4
    assert "There is no 'o4' in ordering" in unknown.only_line

    assert process.ends(signal.SIGTERM) == 0
    assert {line["service"] for line in process.wait_for("worker.stopped", 3)}
    assert [line for line in process.logged if line["level"] == "error"] == []


def check_picture(shop: Project, servers: dict[str, str]) -> None:
    drawn = shop.process("graph", "--saga-id", "poor2", "--format", "svg", **servers)
    assert (drawn.code, drawn.err) == (0, "")
    assert "choreography by order_id of poor2: COMPENSATED" in drawn.out
    # Two steps and one, and the legend's words.
    assert [drawn.out.count(f">{word}</text>") for word in ("undone", "refused")] == [3, 2]
    assert shop.process("graph", "--saga-id", "o4", **servers).code == 4


def test_a_signal_ends_a_process_that_still_waits(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    process = start("orders", **servers | {"SAGAS_KAFKA": "127.0.0.1:1"})
    (line, *_) = process.wait_for("server.unavailable")
    assert "127.0.0.1:1" in line["error"]
    assert process.ends(signal.SIGTERM) == 0


HANGING = """\
import asyncio

from sagas import EventContext, Service
from shop.ordering import OrderPlaced

service = Service("hanging")


@service.observes(OrderPlaced)
async def hang(order: OrderPlaced, context: EventContext) -> None:
    context.logger.info("hangs")
    await asyncio.Event().wait()
"""


def test_a_second_signal_ends_it_at_once(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    shop.write("shop/hanging.py", HANGING)
    pyproject = (shop.directory / "pyproject.toml").read_text()
    shop.write(
        "pyproject.toml", pyproject.replace('"]\nsagas', '", "shop.hanging:service"]\nsagas')
    )
    process = start("--all", "--create-topics", **servers)
    process.wait_for("worker.running", 4)
    place_orders(shop, servers, "o1")
    process.wait_for("hangs")
    process.process.send_signal(signal.SIGTERM)
    process.wait_for("drain.started")
    assert process.ends(signal.SIGTERM) == 128 + signal.SIGTERM


def test_a_silent_redis_is_not_waited_for(shop: Project, servers: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        redis = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        ended = shop.process("list", "--timeout", "0.5", **servers | {"SAGAS_REDIS": redis})
        assert ended.code == 5
        assert "no answer within 0.5 s" in ended.only_line
        kafka = redis.removeprefix("redis://").removesuffix("/0")
        ended = shop.process(
            "topics", "plan", "--timeout", "0.5", **servers | {"SAGAS_KAFKA": kafka}
        )
        assert ended.code == 5
        assert ended.only_line.startswith(f"error: Kafka at {kafka} is not available")


def test_embedded_needs_no_server(start: Start) -> None:
    process = start("--embedded", SAGAS_LOG_FORMAT="json", SAGAS_KAFKA="127.0.0.1:1")
    process.wait_for("worker.running", 3)
    assert process.ends(signal.SIGINT) == 0
