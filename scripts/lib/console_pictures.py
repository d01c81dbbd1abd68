"""Takes the pictures of the web console: the order services with trouble in them, seen by a real browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.e2e.console_world import ConsoleWorld, Seat, console_world

__all__ = ["main"]

SIZE_MAX_BYTES = 150_000
NARROW = {"width": 390, "height": 844}
SERVICES = ("orders", "inventory", "payments", "shipping", "notifications")


def _shot(
    seat: Seat, file: Path, path: str, ready: Callable[[Page], object], height: int = 900
) -> None:
    width = (seat.page.viewport_size or NARROW)["width"]
    seat.page.set_viewport_size({"width": width, "height": height})
    seat.go(path)
    ready(seat.page)
    pictures = "[...document.images].every((one) => one.complete && one.naturalWidth > 0)"
    seat.page.wait_for_function(pictures)
    seat.page.screenshot(path=file, animations="disabled", caret="initial")
    size = file.stat().st_size
    print(f"{file}: {size // 1000} KB")
    if size > SIZE_MAX_BYTES:
        raise SystemExit(f"{file} has more than {SIZE_MAX_BYTES} bytes: show less of the page")


def _saga(id_: str) -> str:
    return f"/saga?saga=order-fulfilment&id={id_}"


def _live(page: Page) -> None:
    expect(page.locator("#pulse")).to_have_text("live")


def _prepare(world: ConsoleWorld) -> None:
    """Orders in every situation."""
    world.place(*(f"order-{number}" for number in range(1, 31)))
    world.place("rare-3")
    world.place("order-31", "order-32", "stuck-41", "stuck-42", "stuck-43", customer="broke")
    world.spoil("orders", "order-99", b'{"order_id": "order-99", "lines": "none"}')
    with world.seat() as seat:
        seat.go(_saga("stuck-43"))
        expect(seat.page.locator(".summary")).to_contain_text("PARKED")
        seat.go(_saga("order-30"))
        expect(seat.page.locator(".summary")).to_contain_text("confirm_receipt")


def _take(world: ConsoleWorld, into: Path) -> None:
    look = "/ask?saga=order-fulfilment&id=stuck-43&what=resume"
    for scheme in ("light", "dark"):
        with world.seat(color_scheme=scheme) as seat:
            _shot(seat, into / f"overview-{scheme}.png", "/", _live, 480)
            _shot(seat, into / f"saga-{scheme}.png", _saga("stuck-43"), _live, 900)
    with world.seat() as seat:
        _shot(seat, into / "list.png", "/sagas?status=PARKED&status=RUNNING", lambda _: None, 640)
        _shot(
            seat,
            into / "confirm.png",
            look,
            lambda page: page.get_by_label("Why").fill("the shelf is open"),
            620,
        )
        _shot(seat, into / "letters.png", "/letters", lambda _: None, 420)
        _shot(seat, into / "choreography.png", "/choreography", lambda _: None, 900)
        _shot(seat, into / "workers.png", "/workers", _live, 720)
        _shot(seat, into / "stuck.png", "/stuck", lambda _: None, 340)
    with world.seat(viewport=NARROW, color_scheme="dark") as seat:
        _shot(seat, into / "narrow.png", _saga("stuck-43"), _live, 844)


def main() -> None:
    """Into the directory that is named second, with a project in the first."""
    directory, into = Path(sys.argv[1]), Path(sys.argv[2])
    into.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=60_000)
    kafka, redis = os.environ["SAGAS_KAFKA"], os.environ["SAGAS_REDIS"]
    name = f"shop-{uuid4().hex[:4]}"
    with console_world(kafka, redis, directory, SERVICES, namespace=name) as world:
        _prepare(world)
        _take(world, into)


if __name__ == "__main__":
    main()
