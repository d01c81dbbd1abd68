"""Dead letters from the command line on real servers: listed, shown, sent again once all is mended."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from sagas.application import SagaSettings, real_platform
from sagas.ports import OutgoingRecord
from tests.cli_project import MODULES, PYPROJECT, Ended, Project, write_project
from tests.integration.test_cli_real import DEADLINE_S, Running, place_orders

DEFECT = """

from sagas.core.handling import Handling
from sagas.runtime.execution import Execution

if os.environ.get("DEFECT"):
    def broken(self, *_, **__):
        raise KeyError("unforeseen")

    Execution.perform = broken
"""
"""A defect that nobody foresaw, as a library of a service may have one."""

PAYMENTS = "import os\n" + MODULES["payments"] + DEFECT


class Shop:
    """The project, its services as processes, and records from outside."""

    def __init__(self, project: Project, servers: dict[str, str]) -> None:
        self.project = project
        self.servers = servers
        self.running: list[Running] = []

    def start(self, *arguments: str, **variables: str) -> Running:
        process = self.project.start("run", *arguments, **self.servers | variables)
        self.running.append(Running(process))
        self.running[-1].wait_for("worker.running", max(1, len(arguments)))
        return self.running[-1]

    def sagas(self, *arguments: str) -> Ended:
        return self.project.sagas(*arguments, **self.servers)

    def json(self, *arguments: str) -> dict[str, Any]:
        ended = self.sagas(*arguments, "--output", "json")
        assert ended.code == 0, ended
        document: dict[str, Any] = json.loads(ended.out)
        return document

    def letters(self, *arguments: str) -> list[dict[str, Any]]:
        letters: list[dict[str, Any]] = self.json("dead-letters", "list", *arguments)["letters"]
        return letters

    def publish(self, service: str, key: bytes, value: bytes) -> None:
        settings = SagaSettings(
            kafka=self.servers["SAGAS_KAFKA"],
            redis=self.servers["SAGAS_REDIS"],
            namespace=self.servers["SAGAS_NAMESPACE"],
        )

        async def run() -> None:
            async with (
                asyncio.timeout(DEADLINE_S),
                real_platform(settings, client_id="test") as platform,
            ):
                topic = platform.topics.events(service)
                await platform.broker.publish(OutgoingRecord(topic, key, value))

        asyncio.run(run())

    def place(self, id_: str) -> None:
        place_orders(self.project, self.servers, id_)

    def close(self) -> None:
        for one in self.running:
            one.close()


@pytest.fixture
def shop(
    kafka_servers: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    servers = {
        "SAGAS_KAFKA": kafka_servers,
        "SAGAS_REDIS": redis_url,
        "SAGAS_NAMESPACE": f"dead-{uuid4().hex[:12]}",
        "SAGAS_PARTITIONS": "2",
        "SAGAS_LOG_FORMAT": "json",
    }
    modules = {**MODULES, "payments": PAYMENTS}
    project = write_project(tmp_path_factory.mktemp("dead"), pyproject=PYPROJECT, modules=modules)
    shop = Shop(project, servers)
    try:
        yield shop
    finally:
        shop.close()


def test_a_message_is_replayed_after_the_fix_and_its_parked_saga_ends(shop: Shop) -> None:
    assert shop.sagas("dead-letters", "list").code == 3  # no topics yet
    assert shop.sagas("topics", "apply").code == 0
    assert shop.sagas("dead-letters", "list").out == "No open dead letters.\n"
    shop.start("orders", "inventory")
    payments = shop.start("payments", DEFECT="1")
    shop.publish("orders", b"o1", b'{"order_id": "o1"}')
    payments.wait_for("message.dead_lettered")

    (letter,) = shop.letters("--service", "payments", "--reason", "UNFORESEEN", "--since", "1h")
    assert letter["event"] == "inventory.StockReserved.v1"
    assert (letter["saga_id"], letter["saga"], letter["exception"]) == (
        "o1",
        "ordering",
        "KeyError",
    )
    assert shop.letters("--saga-id", "o2") == []
    assert shop.letters("--service", "inventory") == []
    shown = shop.sagas("dead-letters", "show", letter["id"])
    assert '{"order_id":"o1"}' in shown.out
    assert "ce_sagaid" in shown.out

    payments.close()
    shop.start("payments")
    id_ = letter["id"]
    dry = shop.sagas("dead-letters", "replay", id_, "--dry-run")
    assert dry.code == 0
    assert "1 would be replayed." in dry.out
    assert dry.out.endswith("Nothing was published.\n")
    assert len(shop.letters()) == 1
    done = shop.sagas("dead-letters", "replay", id_, "--by", "ann", "--why", "mended")
    assert done.code == 0
    assert "1 replayed.\n" in done.out
    assert 'o1 is parked: `sagas resume o1 --why "..."` lets it go on.\n' in done.out
    assert shop.letters() == []
    (resolved,) = shop.letters("--resolved")
    assert resolved["resolution"]["how"] == "replayed"
    assert (resolved["resolution"]["by"], resolved["resolution"]["why"]) == ("ann", "mended")
    again = shop.sagas("dead-letters", "replay", id_, "--why", "again")
    assert again.code == 6
    assert "is not replayed: ann has replayed it already." in again.only_line

    resumed = shop.sagas("resume", "o1", "--why", "mended")
    assert resumed.code == 0, resumed
    shop.place("o2")  # behind it, and it ends
    status, until = "RUNNING", time.monotonic() + DEADLINE_S
    while status == "RUNNING" and time.monotonic() < until:
        status = shop.json("show", "o1")["status"]
    assert status == "COMPLETED"


def test_bad_records_are_one_letter_for_each_service_and_published_once(shop: Shop) -> None:
    running = shop.start("--all", "--create-topics")
    running.wait_for("worker.running", 3)
    poison = b'{"order_id": "\x1b[31m[red]", "amount": "many"}'
    shop.publish("orders", b"bad", poison)
    shop.publish("orders", b"worse", b"\xff")
    running.wait_for("message.dead_lettered", 2)
    letters = shop.letters()
    ids = {letter["id"] for letter in letters}
    assert len(ids) == 2
    (bad,) = {letter["id"] for letter in shop.letters("--saga-id", "bad")}
    shown = shop.json("dead-letters", "show", bad)["letters"][0]
    assert base64.b64decode(shown["value_base64"]) == poison
    told = shop.sagas("dead-letters", "show", bad)
    assert "\\x1b[31m[red]" in told.out
    assert "\x1b" not in told.out

    table = shop.sagas("dead-letters", "list")
    assert table.code == 0
    assert bad in table.out
    done = shop.json(
        *("dead-letters", "replay", "--all", "--rate", "50/s", "--why", "perhaps", "--by", "bob")
    )
    assert done["action"] == "replayed"
    assert {letter["id"] for letter in done["letters"]} == ids
    assert len(done["letters"]) == len(letters)
    assert done["parked"] == []
    running.wait_for("message.dead_lettered", 2 * len(letters))
    second = shop.letters()
    assert len({letter["id"] for letter in second}) == 2
    assert not {letter["id"] for letter in second} & ids

    gone = shop.sagas("dead-letters", "discard", "--all", "--why", "nobody knows them")
    assert gone.code == 0
    assert f"{len(second)} discarded.\n" in gone.out
    assert shop.letters() == []
    assert shop.sagas("dead-letters", "discard", "--all", "--why", "once more").out == (
        "No open dead letters.\n"
    )
