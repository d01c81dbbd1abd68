"""The console in a real browser, on real servers, with the order services: found, read and mended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.e2e.console_world import ConsoleWorld, Seat, console_world
from tests.unit.test_console_pages import text_of

pytestmark = [pytest.mark.real, pytest.mark.slow]

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def world(
    kafka_servers: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleWorld]:
    directory = tmp_path_factory.mktemp("console")
    working = ("orders", "inventory", "shipping", "notifications")
    with console_world(kafka_servers, redis_url, directory, working) as made:
        made.place("stuck-1", "keys-1", "narrow-1", "rare-1")
        yield made


@pytest.fixture
def seat(world: ConsoleWorld) -> Iterator[Seat]:
    with world.seat() as one:
        yield one
        assert one.complaints == []


def open_saga(seat: Seat, id_: str) -> None:
    seat.go(f"/saga?saga=order-fulfilment&id={id_}")


def waits_for_payments(seat: Seat, id_: str) -> None:
    open_saga(seat, id_)
    expect(seat.page.locator(".first")).to_contain_text("from payments (authorize_payment)")


def test_a_stuck_saga_is_found_read_and_mended(world: ConsoleWorld, seat: Seat) -> None:
    page = seat.page
    waits_for_payments(seat, "stuck-1")
    # found, by what it waits for, and by who does not work
    seat.go("/workers")
    expect(page.locator("tr", has_text="payments").first).to_contain_text("no worker")
    seat.go("/sagas")
    page.get_by_label("Waits for step").select_option("authorize_payment")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("table.rows")).to_contain_text("authorize_payment (payments)")
    expect(page.locator(".foot")).to_contain_text("sagas were looked at for this page")
    page.get_by_role("link", name="stuck-1").click()
    # read
    expect(page.locator("h1")).to_have_text("stuck-1")
    expect(page.locator(".first")).to_contain_text("Waiting for PaymentAuthorized")
    expect(page.locator(".summary")).to_contain_text("payments has no worker")
    picture = page.locator(".picture img")
    page.wait_for_function("document.querySelector('.picture img').naturalWidth > 300")
    assert "authorize_payment" in (picture.get_attribute("alt") or "")
    page.locator("#d-event-1 summary").click()
    expect(page.locator("#d-event-1 pre")).to_contain_text('"order_id": "stuck-1"')
    # turned back, after a look
    page.get_by_role("link", name="Cancel …").click()
    expect(page.locator("main")).to_contain_text("RUNNING")
    expect(page.locator("main")).to_contain_text("sagas.SagaCancelled.v1")
    page.get_by_role("button", name="Cancel").click()  # without a reason the browser says no
    assert page.url.endswith("what=cancel")
    page.get_by_label("Why").fill("payments are down <b>")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".notice.good")).to_contain_text("payments are down <b>")
    page.get_by_role("link", name="Watch the saga").click()
    expect(page.locator("#part")).to_contain_text("the undo of authorize_payment")
    # payments come back; the bug in inventory parks it, and the page says so by itself
    page.evaluate("window.untouched = true")
    world.run("payments")
    expect(page.locator(".summary")).to_contain_text("PARKED")
    expect(page.locator(".summary")).to_contain_text("the shelf is locked")
    assert page.evaluate("window.untouched"), "without a reload"
    seat.go("/stuck")
    expect(page.locator("tr", has_text="stuck-1")).to_contain_text("the shelf is locked")
    page.get_by_role("link", name="stuck-1").click()
    # mended
    (world.directory / "mended").touch()
    page.get_by_role("link", name="Resume …").click()
    expect(page.locator("main")).to_contain_text("COMPENSATING")
    page.get_by_label("Why").fill("the shelf is open")
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("link", name="Watch the saga").click()
    expect(page.locator(".summary")).to_contain_text("Compensated at")
    seat.go("/actions")
    expect(page.locator("main")).to_contain_text("the shelf is open")
    assert world.sagas("list", "--status", "compensated").count("stuck-1") == 1


def test_markup_in_an_id_is_text(world: ConsoleWorld, seat: Seat) -> None:
    evil = "<img src=x onerror=alert(1)>"
    seat.page.on("dialog", lambda one: seat.complaints.append(one.message))
    world.place(evil)
    seat.go(f"/sagas?{urlencode({'text': evil})}")
    expect(seat.page.locator(".foot")).to_contain_text("The text is the id of a saga")
    seat.page.locator("table a.id").first.click()
    expect(seat.page.locator("h1")).to_have_text(evil)
    expect(seat.page.locator("#pulse")).to_have_text("live")
    expect(seat.page.locator("#part")).to_contain_text("StockReserved")
    assert seat.page.locator("img[src=x]").count() == 0


def test_times_are_the_readers_with_the_exact_one_at_hand(world: ConsoleWorld, seat: Seat) -> None:
    open_saga(seat, "rare-1")
    first = seat.page.locator("#h-timeline + table time").first
    expect(first).to_have_text(re.compile(r"\d\d:\d\d:\d\d\.\d{3}$"))
    said = first.get_attribute("datetime") or ""
    assert first.get_attribute("title") == f"{said} (UTC)"
    there = datetime.fromisoformat(said).astimezone(ZoneInfo("America/New_York"))
    assert f"{there:%H:%M:%S}" in first.inner_text()


def test_the_keyboard_is_enough(world: ConsoleWorld, seat: Seat) -> None:
    page = seat.page
    seat.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("/")
    page.wait_for_url("**/sagas")
    page.keyboard.press("/")
    page.keyboard.type("keys-1")
    page.keyboard.press("Enter")
    expect(page.locator(".foot")).to_contain_text("The text is the id of a saga")
    _tab_to(seat, "keys-1")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "one sees where one is"
    page.keyboard.press("Enter")
    page.wait_for_url("**/saga?*")
    _tab_to(seat, "Retry now …")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ask?*")
    assert page.evaluate("document.activeElement.name") == "why"
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator(".notice.good")).to_contain_text("by keyboard")


def _tab_to(seat: Seat, text: str) -> None:
    for _ in range(80):
        seat.page.keyboard.press("Tab")
        if seat.page.evaluate("document.activeElement.textContent.trim()") == text:
            return
    pytest.fail(f"{text} is not reached by Tab")


PAGES = [
    "/",
    "/sagas",
    "/sagas?text=nothing-like-this",
    "/saga?saga=order-fulfilment&id=narrow-1",
    "/saga?saga=order-fulfilment&id=rare-1&view=states",
    "/saga?saga=order-fulfilment&id=absent",
    "/ask?saga=order-fulfilment&id=rare-1&what=cancel",
    "/letters",
    "/workers",
    "/stuck",
    "/choreography",
    "/actions",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_on_a_narrow_screen(world: ConsoleWorld, scheme: str) -> None:
    narrow = {"width": 390, "height": 844}
    with world.seat(viewport=narrow, color_scheme=scheme) as seat:
        for path in PAGES:
            seat.go(path)
            assert not seat.is_wider_than_its_window(), path
            said = text_of(seat.page.locator("main").inner_text())
            assert not re.search(r"\b(undefined|null|None|NaN|Invalid Date)\b", said), said
            background = seat.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(13, 17, 23)") is (scheme == "dark")
        assert seat.complaints == []


def test_a_redis_that_is_away_is_a_page_and_then_comes_back(world: ConsoleWorld) -> None:
    address = world.serve(SAGAS_REDIS="redis://127.0.0.1:1/0")
    with world.seat(address) as seat:
        seat.go("/")
        expect(seat.page.locator("h1")).to_have_text("A server does not answer")
        expect(seat.page.locator("main")).to_contain_text("Redis at redis://127.0.0.1:1/0")
        assert seat.complaints == []
