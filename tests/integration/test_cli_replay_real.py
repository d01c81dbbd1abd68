"""Compensations that were given up are replayed on real servers, twice without harm."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sagas.application import SagaSettings, client_of, real_platform
from tests.cli_project import Ended, Project, write_project
from tests.integration.test_cli_real import DEADLINE_S, Running

PYPROJECT = """\
[tool.sagas]
services = ["shop.services:orders", "shop.services:inventory", "shop.services:payments"]
sagas = ["shop.ordering:Ordering"]
"""

ORDERING = """\
from sagas import CONTINUE, Event, Retry, Saga, Start, Step


class OrderEvent(Event):
    order_id: str


class OrderPlaced(OrderEvent, type="orders.OrderPlaced.v1"): ...


class OrderCancelled(OrderEvent, type="orders.OrderCancelled.v1"): ...


class StockReserved(OrderEvent, type="inventory.StockReserved.v1"): ...


class StockReleased(OrderEvent, type="inventory.StockReleased.v1"): ...


class Paid(OrderEvent, type="payments.Paid.v1"): ...


class Declined(OrderEvent, type="payments.Declined.v1"): ...


class Ordering(Saga):
    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=OrderCancelled)
    reserve_stock = Step(by="inventory", on=OrderPlaced, done=StockReserved, undone=StockReleased,
                         retry=Retry(attempts=1), if_undo_fails=CONTINUE)
    pay = Step(by="payments", on=StockReserved, done=Paid, refused=Declined, pivot=True)
"""

SERVICES = """\
from pathlib import Path

from sagas import Service, StepContext
from shop.ordering import *  # noqa: F403

orders, inventory, payments = Service("orders"), Service("inventory"), Service("payments")


@orders.undoes(Ordering.start)
async def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
    return OrderCancelled(order_id=order.order_id)


@inventory.performs(Ordering.reserve_stock)
async def reserve(order: OrderPlaced, context: StepContext) -> StockReserved:
    return StockReserved(order_id=order.order_id)


@inventory.undoes(Ordering.reserve_stock)
async def release(
    order: OrderPlaced, reserved: StockReserved | None, context: StepContext
) -> StockReleased:
    if not Path("mended").exists():
        raise RuntimeError("the shelf is locked")
    with Path("released").open("a") as book:
        book.write(f"{context.idempotency_key}\\n")
    return StockReleased(order_id=order.order_id)


@payments.performs(Ordering.pay)
async def pay(reserved: StockReserved, context: StepContext) -> Paid | Declined:
    return Declined(order_id=reserved.order_id)
"""

IDS = ["o1", "o2", "o3"]


class Shop:
    """The project, and its services as a process."""

    def __init__(self, project: Project, servers: dict[str, str]) -> None:
        self.project = project
        self.servers = servers

    def replay(self, *arguments: str) -> Ended:
        return self.project.process("replay-compensations", *arguments, **self.servers)

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        ended = self.replay(*arguments, "-o", "json")
        assert ended.code == code, ended
        document: dict[str, Any] = json.loads(ended.out)
        return document

    def released(self) -> list[str]:
        return sorted((self.project.directory / "released").read_text().split())

    def fail_all(self) -> None:
        """Place orders of which each is declined and can not be undone."""
        names: dict[str, Any] = {}
        exec(compile(ORDERING, "ordering", "exec", dont_inherit=True), names)
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
                client = client_of(platform, [names["Ordering"]])
                for id_ in IDS:
                    await client.start(names["OrderPlaced"](order_id=id_))
                for id_ in IDS:
                    await client.wait_for_end(names["Ordering"], id_)

        asyncio.run(run())


@pytest.fixture
def shop(kafka_servers: str, redis_url: str, tmp_path: Path) -> Iterator[Shop]:
    servers = {
        "SAGAS_KAFKA": kafka_servers,
        "SAGAS_REDIS": redis_url,
        "SAGAS_NAMESPACE": f"replay-{uuid4().hex[:12]}",
        "SAGAS_PARTITIONS": "2",
        "SAGAS_LOG_FORMAT": "json",
    }
    modules = {"__init__": "", "ordering": ORDERING, "services": SERVICES}
    project = write_project(tmp_path, pyproject=PYPROJECT, modules=modules)
    running = Running(project.start("run", "--all", "--create-topics", **servers))
    try:
        running.wait_for("worker.running", 3)
        yield Shop(project, servers)
    finally:
        running.close()


def test_what_was_given_up_is_undone_once_its_handler_is_mended(shop: Shop) -> None:
    shop.fail_all()
    planned = shop.json()
    assert sorted(one["saga_id"] for one in planned["sagas"]) == IDS
    assert {one["before"] for one in planned["sagas"]} == {"FAILED"}
    assert (planned["dry_run"], planned["counts"]["planned"]) == (True, 3)
    assert "Nothing was published" in shop.replay().out

    assert shop.replay("--execute").code == 2, "nobody has said why"
    failed = shop.json("--execute", "--why", "hoping", "--id", "o1", code=1)
    assert [(one["outcome"], one["why"]) for one in failed["sagas"]] == [
        ("failed again", "RuntimeError: the shelf is locked")
    ]

    shop.project.write("mended", "")
    report = ("--report", "replay.jsonl")
    done = shop.json("--execute", "--why", "mended", "--rate", "50/s", *report)
    assert done["counts"]["undone"] == 3, done
    keys = [f"ordering/{id_}/reserve_stock/undo/{2 if id_ == 'o1' else 1}" for id_ in IDS]
    assert shop.released() == keys

    assert shop.json("--execute", "--why", "once more", *report)["sagas"] == []
    again = shop.json("--execute", "--why", "once more")
    assert {one["why"] for one in again["sagas"]} == {"nothing is left to undo"}
    assert shop.released() == keys, "twice is once"

    once_more = ("--again", "reserve_stock", "--epoch", "3", "--execute", "--why", "too little")
    assert shop.json(*once_more)["counts"]["undone"] == 3
    assert {one["why"] for one in shop.json(*once_more)["sagas"]} == {
        "it has run under epoch 3 already"
    }
    assert len(shop.released()) == 6


def test_mistakes_are_told(shop: Shop) -> None:
    assert "no step 'pay' with a compensation" in shop.replay("--again", "pay").only_line
    assert "--until soon is no time" in shop.replay("--until", "soon").only_line
    assert "can not be read" in shop.replay("--ids-from", "nowhere").only_line
    shop.project.write("odd.jsonl", "{}\n")
    assert "is no report" in shop.replay("--report", "odd.jsonl").only_line
    assert shop.replay("--dead-letter-reason", "nothing").out.startswith("No saga is meant.")
