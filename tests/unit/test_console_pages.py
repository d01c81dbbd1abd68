"""What the console shows: everything escaped, nothing personal, nothing undefined; errors are pages, too."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from sagas.core.lifecycle import WorkerState
from sagas.operating import searching
from sagas.ports import OutgoingRecord
from sagas.ports.workers import ErrorSeen, WorkerReport
from sagas.web.console.live import STREAMS_MAX, Streams, events_of
from sagas.web.console.users import Role
from tests.console import MemoryServers, Visitor, console_on, visitor
from tests.operated import Shop, an_order

EVIL = "<script>alert(1)</script>\"'&\u202e"


@pytest.fixture
def servers() -> MemoryServers:
    return MemoryServers()


@pytest.fixture
def shop(servers: MemoryServers) -> Shop:
    return Shop(servers.store)


@pytest.fixture
async def browser(servers: MemoryServers) -> AsyncIterator[Visitor]:
    async with visitor(console_on(servers)) as one:
        yield one


def text_of(html: str) -> str:
    """What is read, without tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


async def letter(
    servers: MemoryServers, value: bytes, *, type_: str = "orders.OrderPlaced.v1"
) -> str:
    """A dead letter of inventory; its id."""
    headers = {
        "ce_type": type_,
        "ce_sagaid": "o1",
        "dlq-reason": EVIL,
        "dlq-exception": "KeyError",
        "dlq-service": "inventory",
        "dlq-topic": "test.orders.events",
        "dlq-partition": "0",
        "dlq-offset": "7",
        "dlq-time-ms": "1000",
    }
    said = tuple((name, text.encode()) for name, text in headers.items())
    await servers.broker.publish(OutgoingRecord("test.inventory.dlq", b"o1", value, said))
    return "test.orders.events/0/7"


PAGES = [
    "/",
    "/sagas",
    "/sagas?status=PARKED&text=o1&step=reserve_stock&tenant=acme&age=older-1h&order=oldest",
    "/saga?saga=ordering&id=o1",
    "/saga?saga=ordering&id=parked&view=states",
    "/ask?saga=ordering&id=o1&what=cancel",
    "/ask?saga=ordering&id=parked&what=skip&event=payments.PaymentCaptured.v1",
    "/letters",
    "/letter?id=test.orders.events/0/7",
    "/letters/resolve?what=replay&id=test.orders.events/0/7",
    "/letters/resolve?what=discard",
    "/workers",
    "/stuck",
    "/choreography",
    "/choreography?saga=ordering&view=states",
    "/actions",
]


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_says_undefined_or_null(
    browser: Visitor, servers: MemoryServers, shop: Shop, path: str
) -> None:
    await shop.keep(an_order("o1"))
    await shop.keep(an_order("parked", "StockReserved", parked="no line"))
    await letter(servers, b'{"order_id": "o1"}')
    html = await browser.see(path)
    said = text_of(html)
    assert not re.search(r"\b(undefined|null|None|NaN)\b", said), said
    assert "onclick" not in html
    assert " style=" not in html
    assert html.count("<script") == 1, "our own file"


@pytest.mark.parametrize("path", ["/", "/sagas", "/stuck", "/letters", "/workers", "/actions"])
async def test_an_empty_page_explains_itself(browser: Visitor, path: str) -> None:
    html = await browser.see(path)
    assert not re.search(r"\b(undefined|null|None)\b", text_of(html))
    assert 'class="notice"' in html or "none" in html or "Does" in html


async def test_html_from_outside_is_text(
    browser: Visitor, servers: MemoryServers, shop: Shop
) -> None:
    evil = f"o{EVIL}"
    await shop.keep(an_order(evil, "StockReserved", note=EVIL, tenant=EVIL, parked=EVIL))
    await letter(servers, b'{"order_id": "o1", "note": "' + b"<script>" + b'"}', type_=EVIL)
    pages = [
        await browser.see("/"),
        await browser.see("/sagas"),
        str((await browser.client.get("/sagas", params={"text": EVIL, "tenant": EVIL})).text),
        str((await browser.client.get("/saga", params={"saga": "ordering", "id": evil})).text),
        str((await browser.client.get("/saga", params={"id": EVIL})).text),
        str((await browser.client.get(f"/{EVIL}")).text),
        await browser.see("/letters"),
        await browser.see("/letter?id=test.orders.events/0/7"),
    ]
    asked = {"saga": "ordering", "id": evil, "what": "resume"}
    pages.append(str((await browser.client.get("/ask", params=asked)).text))
    for html in pages:
        assert "<script>" not in html
        assert "\u202e" not in html
    assert "&lt;script&gt;" in pages[3]
    picture = await browser.client.get("/saga/picture.svg", params={"saga": "ordering", "id": evil})
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "<script" not in picture.text
    assert "script-src" not in picture.headers["content-security-policy"]


async def test_what_is_personal_stays_hidden(
    browser: Visitor, servers: MemoryServers, shop: Shop
) -> None:
    await shop.keep(an_order("o1", note="as a gift", email="ada@example.com"))
    id_ = await letter(servers, b'{"order_id": "o1", "customer": {"email": "ada@example.com"}}')
    shown = await browser.see("/saga?saga=ordering&id=o1")
    assert "as a gift" in shown
    assert "(personal: hidden)" in shown
    record = await browser.see(f"/letter?id={id_}")
    for html in (shown, record, await browser.see("/sagas?text=ada@example.com")):
        assert "ada@example.com" not in html.replace('value="ada@example.com"', "")


@pytest.mark.parametrize(("role", "shown"), [(Role.ADMIN, True), (Role.OPERATOR, False)])
async def test_a_record_that_nobody_can_read_is_an_admins(
    servers: MemoryServers, role: Role, *, shown: bool
) -> None:
    id_ = await letter(servers, b"no json ada@example.com")
    async with visitor(console_on(servers, role=role)) as one:
        assert ("ada@example.com" in await one.see(f"/letter?id={id_}")) is shown


async def test_workers_and_what_is_wrong_with_them(
    browser: Visitor, servers: MemoryServers
) -> None:
    servers.reports = [
        WorkerReport(
            id="w1",
            service="payments",
            host=f"box{EVIL}",
            pid=7,
            started_at_ms=1_000,
            seen_at_ms=2_000,
            state=WorkerState.RUNNING,
            health="backlog",
            reason="too much begun",
            partitions={"test.orders.events": (0, 1, 2)},
            in_flight=1_234,
            last_error=ErrorSeen(at_ms=1_500, words="no line"),
        )
    ]
    html = await browser.see("/workers")
    said = text_of(html)
    for words in ("running, backlog : too much begun", "1,234", "no line", "no worker"):
        assert words in said
    assert "<script>alert" not in html
    servers.kafka_is_away = True
    assert "is not known. Kafka at x:1" in text_of(await browser.see("/workers"))


async def test_stuck_sagas_with_the_reason(browser: Visitor, shop: Shop) -> None:
    assert "No saga is stuck" in await browser.see("/stuck")
    await shop.keep(an_order("o1", "StockReserved", parked="no line"))
    said = text_of(await browser.see("/stuck"))
    assert re.search(r"o1 \S+ PARKED", said)
    assert "no line" in said
    assert "1 shown of 1 that are stuck; 1 of 1 sagas" in said


async def test_a_saga_is_explained_and_anew_when_it_changes(browser: Visitor, shop: Shop) -> None:
    await shop.keep(an_order("o1"))
    said = text_of(await browser.see("/saga?saga=ordering&id=o1"))
    assert "Waiting for StockReserved from inventory (reserve_stock) since" in said
    assert "Nobody could be asked about inventory" in said


async def test_a_list_says_how_far_it_looked(
    browser: Visitor, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "LOOKED_AT_MAX", 40)
    monkeypatch.setattr(searching, "_CHUNK", 20)
    for number in range(70):
        await shop.keep(an_order(f"o{number:02}", note="needle" if number == 1 else ""), number)
    said = text_of(await browser.see("/sagas?text=needle"))
    assert "No saga is like this among the 40 that were looked at." in said
    assert "40 of 70 sagas were looked at for this page" in said
    html = await browser.see("/sagas?text=needle")
    assert "Look further" in html
    (further,) = re.findall(r'<a href="([^"]+)" rel="next"', html)
    on = await browser.see(further.replace("&amp;", "&"))
    assert "o01" in on
    assert "up to the last one" in text_of(on)


async def test_pages_of_the_list(browser: Visitor, shop: Shop) -> None:
    for number in range(120):
        await shop.keep(an_order(f"o{number:03}"), number)
    seen, path = [], "/sagas"
    while path:
        html = await browser.see(path)
        seen += re.findall(r'class="id" href="[^"]+">(o\d+)</a>', html)
        path = next(iter(re.findall(r'<a href="([^"]+)" rel="next"', html)), "").replace(
            "&amp;", "&"
        )
    assert seen == [f"o{number:03}" for number in reversed(range(120))]


async def test_what_is_not_there_and_what_is_away_are_pages(
    browser: Visitor, servers: MemoryServers, shop: Shop
) -> None:
    assert "There is no &#39;o9&#39; in" in await browser.see("/saga?id=o9", 404)
    assert "There is no saga &#39;nobody&#39;" in await browser.see("/sagas?saga=nobody", 400)
    assert "There is no page /nothing." in await browser.see("/nothing", 404)
    await browser.see("/static/../app.py", 404)
    await browser.see("/saga?id=o1&view=nothing", 400)
    await shop.damage("o2")
    assert "damaged" in await browser.see("/saga?saga=ordering&id=o2", 409)
    servers.redis_is_away = servers.kafka_is_away = True
    for path in ("/", "/sagas", "/stuck", "/workers", "/saga?id=o1"):
        html = await browser.see(path, 503)
        assert "Redis at redis://x:1 is not available: refused. See that it runs" in html
        assert "Overview" in html
    assert "Kafka at x:1 is not available: no answer within 5 s" in await browser.see(
        "/letters", 503
    )
    assert "Kafka at x:1" in await browser.see("/actions"), "its part only"
    assert (await browser.client.get("/saga/picture.svg?id=o1")).status_code == 503


async def test_what_nobody_foresaw_shows_no_traceback(
    browser: Visitor, servers: MemoryServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(servers.store.listing, "page", broken)
    html = await browser.see("/sagas", 500)
    assert "ZeroDivisionError: nobody has foreseen this" in html
    assert "secret" not in html
    assert "Traceback" not in html


async def test_a_stream_tells_what_changes_and_what_is_away() -> None:
    closing, said = asyncio.Event(), iter(["one\ntwo", "one\ntwo", "three"])

    async def render() -> str:
        text = next(said, None)
        if text is None:
            closing.set()
            return "last"
        return text

    events = [one async for one in events_of(render, closing, pace_s=0)]
    assert events == [
        "event: part\ndata: one\ndata: two\n\n",
        "event: part\ndata: three\n\n",
        "event: part\ndata: last\n\n",
    ]


async def test_a_stream_outlives_a_server_that_is_away(servers: MemoryServers) -> None:
    closing, turn = asyncio.Event(), 0

    async def render() -> str:
        nonlocal turn
        turn += 1
        servers.redis_is_away = turn == 2
        if turn == 3:
            closing.set()
        async with servers.table():
            return "here"

    events = [one async for one in events_of(render, closing, pace_s=0)]
    assert [one.partition("\n")[0] for one in events] == [
        "event: part",
        "event: away",
        "event: part",
    ]
    assert "Redis at" in events[1]


async def test_who_comes_at_the_same_moment_is_counted_too() -> None:
    closing = asyncio.Event()
    streams = Streams(closing)

    async def render() -> str:
        return "here"

    coming = [streams.response(render).body_iterator for _ in range(STREAMS_MAX + 3)]
    assert not streams.are_full, "nobody has been served yet"
    first = [await anext(aiter(one)) for one in coming]
    assert sum("event: part" in str(one) for one in first) == STREAMS_MAX
    assert "Too many look already." in str(first[-1])
    closing.set()
    for one in coming:
        assert not [event async for event in one]
    assert not streams.are_full
