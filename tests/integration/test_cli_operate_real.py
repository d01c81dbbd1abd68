"""Operators on real servers: what they ask is done, or refused, and a dry run changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from sagas.application import SagaClient, SagaSettings, client_of, real_platform, saga_table
from sagas.ports import Row
from tests.cli_project import Ended, Project, write_project
from tests.integration.test_cli_real import DEADLINE_S, Running

T = TypeVar("T")

PYPROJECT = """\
[tool.sagas]
services = ["shop.orders:service", "shop.inventory:service", "shop.shipping:service"]
sagas = ["shop.ordering:Ordering"]
"""

ORDERING = """\
from sagas import NOTHING, Event, Retry, Saga, Start, Step, Wait, hours


class OrderEvent(Event):
    order_id: str


class OrderPlaced(OrderEvent, type="orders.OrderPlaced.v1"):
    pass


class StockReserved(OrderEvent, type="inventory.StockReserved.v1"):
    pass


class StockReleased(OrderEvent, type="inventory.StockReleased.v1"):
    pass


class OrderConfirmed(OrderEvent, type="orders.OrderConfirmed.v1"):
    pass


class ShipmentCreated(OrderEvent, type="shipping.ShipmentCreated.v1"):
    pass


class CustomerNotified(OrderEvent, type="shipping.CustomerNotified.v1"):
    channel: str


class Ordering(Saga):
    key = "order_id"
    deadline = hours(2)
    start = Start(OrderPlaced, by="orders", undone=NOTHING)
    reserve_stock = Step(
        by="inventory",
        on=OrderPlaced,
        done=StockReserved,
        undone=StockReleased,
        retry=Retry(attempts=1),
    )
    confirm = Wait(by="orders", on=StockReserved, done=OrderConfirmed, timeout=hours(1))
    create_shipment = Step(by="shipping", on=OrderConfirmed, done=ShipmentCreated, pivot=True)
    notify = Step(
        by="shipping", on=ShipmentCreated, done=CustomerNotified, retry=Retry(attempts=1)
    )
"""

MODULES = {
    "__init__": "",
    "ordering": ORDERING,
    "orders": """\
from sagas import Service
from shop.ordering import Ordering

service = Service("orders")
confirm = service.completes(Ordering.confirm)
""",
    "inventory": """\
from sagas import Service, StepContext
from shop.ordering import Ordering, OrderPlaced, StockReleased, StockReserved

service = Service("inventory")


@service.performs(Ordering.reserve_stock)
async def reserve(order: OrderPlaced, context: StepContext) -> StockReserved:
    return StockReserved(order_id=order.order_id)


@service.undoes(Ordering.reserve_stock)
async def release(
    order: OrderPlaced, reserved: StockReserved | None, context: StepContext
) -> StockReleased:
    if order.order_id.startswith("stuck"):
        raise RuntimeError("the shelf is locked")
    return StockReleased(order_id=order.order_id)
""",
    "shipping": """\
from pathlib import Path

from sagas import Service, StepContext
from shop.ordering import CustomerNotified, OrderConfirmed, Ordering, ShipmentCreated

service = Service("shipping")


@service.performs(Ordering.create_shipment)
async def ship(confirmed: OrderConfirmed, context: StepContext) -> ShipmentCreated:
    return ShipmentCreated(order_id=confirmed.order_id)


@service.performs(Ordering.notify)
async def notify(created: ShipmentCreated, context: StepContext) -> CustomerNotified:
    if not Path("mended").exists():
        raise RuntimeError("no mail server")
    return CustomerNotified(order_id=created.order_id, channel="mail")
""",
}


class Shop:
    """The project, its services as a process, and a client of the sagas."""

    def __init__(self, project: Project, servers: dict[str, str], running: Running) -> None:
        self.project = project
        self.running = running
        self._servers = servers
        self._names: dict[str, Any] = {}
        exec(compile(ORDERING, "ordering", "exec", dont_inherit=True), self._names)
        self._settings = SagaSettings(
            kafka=servers["SAGAS_KAFKA"],
            redis=servers["SAGAS_REDIS"],
            namespace=servers["SAGAS_NAMESPACE"],
        )

    def sagas(self, *arguments: str) -> Ended:
        return self.project.process(*arguments, **self._servers)

    def json(self, *arguments: str) -> dict[str, Any]:
        ended = self.sagas(*arguments, "--output", "json")
        assert ended.code == 0, ended
        document: dict[str, Any] = json.loads(ended.out)
        return document

    def place(self, id_: str, *, confirmed: bool) -> None:
        async def run(client: SagaClient) -> None:
            await client.start(self._names["OrderPlaced"](order_id=id_))
            if confirmed:
                answer = self._names["OrderConfirmed"](order_id=id_)
                await client.complete(self._names["Ordering"].confirm, id_, answer)

        self._with_client(run)

    def status_at_the_end(self, id_: str) -> str:
        async def run(client: SagaClient) -> str:
            return str((await client.wait_for_end(self._names["Ordering"], id_)).status)

        return self._with_client(run)

    def _with_client(self, work: Callable[[SagaClient], Awaitable[T]]) -> T:
        async def run() -> T:
            async with (
                asyncio.timeout(DEADLINE_S),
                real_platform(self._settings, client_id="test") as platform,
            ):
                return await work(client_of(platform, [self._names["Ordering"]]))

        return asyncio.run(run())

    def row(self, id_: str) -> Row:
        async def run() -> Row:
            async with saga_table(self._settings, timeout_s=DEADLINE_S) as table:
                row = await table.load("ordering", id_, events=True)
                assert row is not None
                return row

        return asyncio.run(run())

    def wait_for(self, id_: str, type_: str) -> None:
        """Until somebody has recorded that event of the saga."""
        self.running.wait_for_line(
            lambda line: (
                (line.get("event"), line.get("saga_id")) == ("saga.event", id_)
                and line.get("type") == type_
            )
        )


@pytest.fixture(scope="module")
def shop(
    kafka_servers: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    servers = {
        "SAGAS_KAFKA": kafka_servers,
        "SAGAS_REDIS": redis_url,
        "SAGAS_NAMESPACE": f"operate-{uuid4().hex[:12]}",
        "SAGAS_PARTITIONS": "2",
        "SAGAS_LOG_FORMAT": "json",
    }
    directory = tmp_path_factory.mktemp("operated")
    project = write_project(directory, pyproject=PYPROJECT, modules=MODULES)
    running = Running(project.start("run", "--all", "--create-topics", **servers))
    try:
        running.wait_for("worker.running", 3)
        yield Shop(project, servers, running)
    finally:
        running.close()


def events(document: dict[str, Any]) -> list[str]:
    return [one["event"] for one in document["events"]]


def parked(shop: Shop, id_: str) -> None:
    shop.place(id_, confirmed=True)
    shop.wait_for(id_, "sagas.SagaParked.v1")
    while any(one["timer"] == "proof" for one in shop.json("show", id_)["timers"]):
        pass  # until the proof of the parking has changed the row, too


def waiting(shop: Shop, id_: str) -> None:
    shop.place(id_, confirmed=False)
    shop.wait_for(id_, "inventory.StockReserved.v1")


def test_a_parked_saga_is_resumed_once_the_handler_is_mended(shop: Shop) -> None:
    parked(shop, "o1")
    shown = shop.sagas("show", "o1")
    assert "parked because  notify failed for good after 1 attempt" in shown.out
    assert '\n  sagas resume o1 --why "..."' in shown.out
    payload = """--payload '{"order_id": "o1", "channel": "..."}'"""
    assert f'\n  sagas skip o1 CustomerNotified {payload} --why "..."' in shown.out
    assert "sagas cancel" not in shown.out

    before = shop.row("o1")
    dry = shop.json("resume", "o1", "--dry-run")
    assert (dry["before"], dry["after"]) == ("PARKED", "RUNNING")
    assert events(dry) == ["sagas.SagaResumed.v1"]
    late = shop.sagas("cancel", "o1", "--why", "too expensive")
    assert late.code == 6
    assert late.only_line == (
        "error: 'o1' is not cancelled: too late: the pivot create_shipment is triggered."
    )
    other = shop.sagas("skip", "o1", "StockReleased", "--why", "by hand")
    assert other.code == 6
    assert "it is not parked for the undo of reserve_stock, but for notify." in other.only_line
    assert shop.row("o1") == before

    mended = shop.project.directory / "mended"
    mended.touch()
    try:
        done = shop.json("resume", "o1", "--by", "ann", "--why", "mail is back")
        assert shop.status_at_the_end("o1") == "COMPLETED"
    finally:
        mended.unlink()
    assert events(done) == ["sagas.SagaResumed.v1"]
    assert done["events"][0]["payload"] == {"by": "ann", "why": "mail is back"}
    assert done["before"] == "PARKED"
    timeline = shop.json("show", "o1", "--payloads")["timeline"]
    (resumed,) = [one for one in timeline if one["event"] == "sagas.SagaResumed.v1"]
    assert resumed["payload"] == {"by": "ann", "why": "mail is back"}
    again = shop.sagas("resume", "o1", "--why", "once more")
    assert again.code == 6
    assert "it is not parked; it is COMPLETED." in again.only_line


def test_a_saga_is_cancelled_before_its_pivot(shop: Shop) -> None:
    waiting(shop, "o2")
    before = shop.row("o2")
    dry = shop.sagas("cancel", "o2", "--dry-run")
    assert dry.code == 0
    assert "ordering o2: RUNNING → COMPENSATING\n" in dry.out
    assert "sagas.SagaCancelled.v1" in dry.out
    assert "It would wait for undo of reserve_stock (inventory).\n" in dry.out
    assert dry.out.endswith("Nothing was published.\n")
    assert shop.row("o2") == before
    done = shop.json("cancel", "o2", "--by", "ann", "--why", "the customer called")
    assert events(done) == ["sagas.SagaCancelled.v1"]
    assert done["after"] in {"COMPENSATING", "COMPENSATED"}
    assert shop.status_at_the_end("o2") == "COMPENSATED"
    again = shop.sagas("cancel", "o2", "--why", "again")
    assert again.code == 6
    assert "'o2' is not cancelled: too late: it is COMPENSATED." in again.only_line


def test_a_step_is_skipped_that_was_done_by_hand(shop: Shop) -> None:
    parked(shop, "o3")
    before = shop.row("o3")
    short = shop.sagas("skip", "o3", "CustomerNotified", "--why", "called them")
    assert short.code == 2
    assert "CustomerNotified.v1 does not fit its contract: channel: Field req" in short.only_line
    wrong = shop.sagas(
        *("skip", "o3", "CustomerNotified", "--dry-run"),
        *("--payload", '{"order_id": "o4", "channel": "phone"}'),
    )
    assert wrong.code == 2
    assert "has order_id='o4'; the saga is 'o3'" in wrong.only_line
    unknown = shop.sagas("skip", "o3", "CustomerNotifed", "--dry-run")
    assert unknown.code == 2
    assert "Did you mean 'CustomerNotified'?" in unknown.only_line
    file = shop.project.directory / "notified.json"
    file.write_text('{"order_id": "o3", "channel": "phone"}')
    dry = shop.json("skip", "o3", "CustomerNotified", "--payload", f"@{file}", "--dry-run")
    assert events(dry) == ["shipping.CustomerNotified.v1"]  # it ends: nothing is to be resumed
    assert (dry["before"], dry["after"]) == ("PARKED", "COMPLETED")
    assert shop.row("o3") == before
    done = shop.json(
        *("skip", "o3", "shipping.CustomerNotified.v1", "--payload", f"@{file}"),
        *("--why", "called them"),
    )
    assert done["after"] == "COMPLETED"
    timeline = shop.json("show", "o3", "--payloads")["timeline"]
    (skipped,) = [one for one in timeline if one["event"] == "shipping.CustomerNotified.v1"]
    assert (skipped["payload"], skipped["kept"]) == (None, False), "the topics have it"


def test_an_undo_is_skipped_by_the_key_alone(shop: Shop) -> None:
    waiting(shop, "stuck4")
    assert shop.sagas("cancel", "stuck4", "--why", "the customer called").code == 0
    shop.wait_for("stuck4", "sagas.SagaParked.v1")
    (_, skip) = shop.json("show", "stuck4")["mend"]
    assert skip == {
        "command": 'sagas skip stuck4 StockReleased --why "..."',
        "does": "says that reserve_stock is undone, by hand",
    }
    done = shop.json("skip", "stuck4", "StockReleased", "--why", "put back by hand")
    assert done["events"][0]["payload"] == {"order_id": "stuck4"}
    assert shop.status_at_the_end("stuck4") == "COMPENSATED"


def test_timers_are_listed_with_what_happens_then(shop: Shop) -> None:
    waiting(shop, "o5")
    shown = shop.json("show", "o5")
    assert shown["deadline"] is not None
    due = {one["timer"]: one["then"] for one in shown["timers"] if one["timer"] != "proof"}
    assert due == {"confirm": "the saga compensates", "deadline": "the saga compensates"}
    listed = shop.json("timers", "--limit", "1000")["timers"]
    assert {
        (one["timer"], one["event"])
        for one in listed
        if one["id"] == "o5" and one["timer"] != "proof"
    } == {("confirm", "sagas.StepTimedOut.v1"), ("deadline", "sagas.SagaExpired.v1")}
    table = shop.sagas("timers")
    assert "o5" in table.out
    assert "the saga compensates" in table.out
    assert shop.sagas("cancel", "o5", "--why", "enough").code == 0


def test_an_unknown_saga(shop: Shop) -> None:
    for command in (["cancel", "o9"], ["resume", "o9"], ["skip", "o9", "StockReleased"]):
        ended = shop.sagas(*command, "--why", "who knows")
        assert ended.code == 4
        assert "There is no 'o9' in ordering" in ended.only_line


def test_a_kafka_that_is_away(shop: Shop) -> None:
    waiting(shop, "o6")
    before = shop.row("o6")
    away = shop.project.process(
        *("cancel", "o6", "--why", "enough"), **shop._servers | {"SAGAS_KAFKA": "127.0.0.1:1"}
    )
    assert away.code == 5
    assert "Kafka at 127.0.0.1:1 is not available" in away.only_line
    assert shop.row("o6") == before
