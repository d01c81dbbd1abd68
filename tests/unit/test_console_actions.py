"""What is asked by the console happens as by the command line: looked at first, confirmed, recorded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog
from structlog.typing import EventDict

from sagas import Service, StepContext
from sagas.adapters.clock import RandomIds, SystemClock
from sagas.application import Platform, client_of, run_services
from sagas.ports import OutgoingRecord
from sagas.runtime.worker import WorkerSettings
from sagas.web.console.state import Console
from sagas.wire.topics import Topics
from tests.console import MemoryServers, Visitor, console_on, visitor
from tests.operated import (
    OrderCancelled,
    Ordering,
    OrderPlaced,
    PaymentCaptured,
    Shop,
    StockReleased,
    StockReserved,
    an_order,
)


def services_of(mended: asyncio.Event) -> Sequence[Service]:
    """Those of an order, whose payments fail until somebody has mended them."""
    orders, inventory, payments = (Service(name) for name in ("orders", "inventory", "payments"))

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
        return StockReleased(order_id=order.order_id)

    @payments.performs(Ordering.capture_payment)
    async def capture(reserved: StockReserved, context: StepContext) -> PaymentCaptured:
        if not mended.is_set():
            raise RuntimeError("no line to the bank")
        return PaymentCaptured(order_id=reserved.order_id)

    return orders, inventory, payments


@pytest.fixture
def servers() -> MemoryServers:
    return MemoryServers()


@pytest.fixture
def console(servers: MemoryServers) -> Console:
    return console_on(servers)


@pytest.fixture
async def browser(console: Console) -> AsyncIterator[Visitor]:
    async with visitor(console) as one:
        yield one


@asynccontextmanager
async def running(servers: MemoryServers, *services: Service) -> AsyncIterator[Platform]:
    """The services, until left."""
    platform = Platform(
        topics=Topics(servers.namespace),
        broker=servers.broker,
        table=servers.store,
        clock=SystemClock(),
        ids=RandomIds(),
        settings=WorkerSettings(commit_interval_s=0.0),
    )
    stop, started = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(run_services(services, platform, stop=stop, on_running=started.set))
        await started.wait()
        yield platform
        stop.set()


ASK = "/ask?saga=ordering&id=o1&what={}"


async def test_a_saga_is_cancelled_after_a_look(servers: MemoryServers, browser: Visitor) -> None:
    orders, inventory, _ = services_of(asyncio.Event())
    await Shop(servers.store).keep(an_order("o1"))
    shown = await browser.see("/saga?saga=ordering&id=o1")
    assert "Cancel …" in shown
    assert "Resume: &#39;o1&#39; is not resumed: it is not parked" in shown
    assert "is not resumed" in await browser.see(ASK.format("resume"), 409)
    look = await browser.see(ASK.format("cancel"))
    assert "It would wait for undo of reserve_stock (inventory)." in look
    async with running(servers, orders, inventory) as platform:
        done = await browser.post(look, "/ask", why="the customer called")
        assert done.status_code == 200, done.text
        view = await client_of(platform, [Ordering]).wait_for_end(Ordering, "o1", timeout_s=10)
    assert view.status == "COMPENSATED"
    html = await browser.see("/saga?saga=ordering&id=o1")
    assert "Compensated at" in html
    assert "Nothing: the saga has ended." in html


async def test_a_parked_saga_is_resumed_and_recorded(
    servers: MemoryServers, browser: Visitor, console: Console
) -> None:
    mended = asyncio.Event()
    await Shop(servers.store).keep(an_order("o1", "StockReserved", parked="no line to the bank"))
    shown = await browser.see("/saga?saga=ordering&id=o1")
    assert "Parked since" in shown
    assert "It goes on only when an operator says so." in shown
    assert "Resume …" in shown
    assert "Skip: capture_payment is done …" in shown
    look = await browser.see(ASK.format("resume"))
    assert "sagas.SagaResumed.v1" in look
    assert "Nothing has been published." in look
    assert await servers.broker.describe_topics() == {}, "a look publishes nothing"
    nothing = await browser.post(look, "/ask", why="  ")
    assert nothing.status_code == 400
    assert "Say why" in nothing.text

    mended.set()
    async with running(servers, *services_of(mended)) as platform:
        with structlog.testing.capture_logs() as lines:
            done = await browser.post(look, "/ask", why="the bank is <back>")
        assert done.status_code == 200, done.text
        assert "Done, as asked by tester: the bank is &lt;back&gt;" in done.text
        view = await client_of(platform, [Ordering]).wait_for_end(Ordering, "o1", timeout_s=10)
        assert view.status == "COMPLETED"
        again = await browser.post(look, "/ask", why="once more")
        assert again.status_code == 409
        assert "it is not parked" in again.text
    (line,) = [one for one in lines if one["event"] == "console.action"]
    assert_line(line, user="tester", action="resume", about="ordering o1", why="the bank is <back>")
    actions = await browser.see("/actions")
    asked, here = actions.split("By this console")
    assert "tester" in asked
    assert "the bank is &lt;back&gt;" in asked
    assert "PARKED → " in here
    assert "is not resumed: it is not parked" in here


def assert_line(line: EventDict, **said: str) -> None:
    assert {name: line[name] for name in said} == said
    assert line["result"].startswith("PARKED → ")


async def test_a_step_is_skipped_with_what_it_carries(
    servers: MemoryServers, browser: Visitor
) -> None:
    await Shop(servers.store).keep(an_order("o1", "StockReserved", parked="no line"))
    path = ASK.format("skip") + "&event=payments.PaymentCaptured.v1"
    look = await browser.see(path)
    assert "&#34;order_id&#34;: &#34;o1&#34;" in look
    for payload, said in (
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"order_id": "o2"}', "order_id=&#39;o2&#39;"),
    ):
        wrong = await browser.post(look, "/ask", why="by hand", payload=payload)
        assert wrong.status_code == 400, wrong.text
        assert said in wrong.text
    async with running(servers, *services_of(asyncio.Event())):
        done = await browser.post(look, "/ask", why="by hand", payload='{"order_id": "o1"}')
        assert done.status_code == 200, done.text
        assert "COMPLETED" in done.text


async def test_what_has_moved_on_is_shown_again_and_not_asked(
    servers: MemoryServers, browser: Visitor
) -> None:
    shop = Shop(servers.store)
    await shop.keep(an_order("o1", "StockReserved", parked="no line"))
    look = await browser.see(ASK.format("resume"))
    stale = look.replace('value="PARKED ', 'value="RUNNING ')
    answer = await browser.post(stale, "/ask", why="x")
    assert answer.status_code == 409
    assert "It has moved on since this page was shown" in answer.text
    assert await servers.broker.describe_topics() == {}


async def test_a_request_that_nobody_takes_up(
    servers: MemoryServers, browser: Visitor, console: Console
) -> None:
    console.ask_timeout_s = 0.05
    await Shop(servers.store).keep(an_order("o1", "StockReserved", parked="no line"))
    look = await browser.see(ASK.format("resume"))
    answer = await browser.post(look, "/ask", why="x")
    assert answer.status_code == 503
    assert "no participant of ordering has taken it up" in answer.text
    assert "It stays there" in console.journal.kept[0].result


async def test_a_kafka_that_is_away(servers: MemoryServers, browser: Visitor) -> None:
    await Shop(servers.store).keep(an_order("o1", "StockReserved", parked="no line"))
    look = await browser.see(ASK.format("resume"))
    servers.kafka_is_away = True
    answer = await browser.post(look, "/ask", why="x")
    assert answer.status_code == 503
    assert "Kafka at x:1 is not available" in answer.text


async def letters(servers: MemoryServers, *numbers: int, service: str = "inventory") -> None:
    for number in numbers:
        headers = {
            "ce_type": "orders.OrderPlaced.v1",
            "dlq-reason": f"no {number}",
            "dlq-service": service,
            "dlq-topic": "test.orders.events",
            "dlq-partition": "0",
            "dlq-offset": str(number),
            "dlq-time-ms": str(number),
        }
        said = tuple((name, text.encode()) for name, text in headers.items())
        record = OutgoingRecord(f"test.{service}.dlq", f"o{number}".encode(), b"{}", said)
        await servers.broker.publish(record)


async def published(servers: MemoryServers, topic: str) -> list[bytes | None]:
    if topic not in await servers.broker.describe_topics():
        return []
    return [record.key async for record in servers.broker.read_to_end(topic)]


async def test_one_letter_is_replayed_once_for_all_services(
    servers: MemoryServers, browser: Visitor, console: Console
) -> None:
    await letters(servers, 1, 2)
    await letters(servers, 1, service="payments")
    look = await browser.see("/letters/resolve?what=replay&id=test.orders.events/0/1")
    assert "2 would be replayed" in look
    assert await published(servers, "test.orders.events") == []
    done = await browser.post(look, "/letters/resolve", why="mended")
    assert done.status_code == 200, done.text
    assert await published(servers, "test.orders.events") == [b"o1"]
    left = re.findall(r'class="id" href="/letter\?id=([^"]+)"', await browser.see("/letters"))
    assert left == ["test.orders.events%2F0%2F2"]
    again = await browser.post(look, "/letters/resolve", why="mended")
    assert again.status_code == 409
    assert "tester has replayed it already" in again.text
    assert [one.result for one in console.journal.kept][1] == "2 replayed"
    shown = await browser.see("/letter?id=test.orders.events/0/1")
    assert "replayed by tester" in shown
    assert "Replay …" not in shown


async def test_all_that_the_filter_lets_by_are_discarded(
    servers: MemoryServers, browser: Visitor
) -> None:
    await letters(servers, 1, 2, 11)
    look = await browser.see("/letters/resolve?what=discard&reason=no+1")
    assert "2 would be discarded" in look
    done = await browser.post(look, "/letters/resolve", why="a test")
    assert "2 discarded" in done.text
    assert await published(servers, "test.orders.events") == []
    html = await browser.see("/letters")
    assert "no 2" in html
    assert "no 11" not in html
    assert "no 11" in await browser.see("/letters?resolved=yes")


async def test_a_letter_that_is_none(browser: Visitor) -> None:
    for path in ("/letter?id=a/0/1", "/letters/resolve?what=replay&id=a/0/1"):
        assert "There is no dead letter a/0/1" in await browser.see(path, 404)
    assert "replayed or discarded" in await browser.see("/letters/resolve?what=burn", 400)
