"""The order services with trouble in them, the console, and a real browser: for tests and for pictures.

The trouble: payments runs only once it is started, and inventory can not give back what was set aside for
orders that begin with ``stuck`` until a file ``mended`` is there. Steps have more time than in production, so
that a slow machine turns no saga back while somebody looks at it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from events.choreographies.order_fulfilment import OrderFulfilment
from events.orders import OrderLine, OrderPlaced
from sagas.application import SagaSettings, client_of, real_platform
from sagas.ports import OutgoingRecord
from tests.integration.test_cli_real import Running
from tests.pictures.browser import chromium

__all__ = ["ConsoleWorld", "Seat", "console_world"]

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60
_PYPROJECT = """\
[tool.sagas]
services = [
    "services.orders.main:service",
    "trouble:service",
    "services.payments.main:service",
    "services.shipping.main:service",
    "services.notifications.main:service",
]
sagas = ["events.choreographies.order_fulfilment:OrderFulfilment"]
"""
_TROUBLE = '''\
"""Inventory with a bug in its compensation."""

from pathlib import Path

from services.inventory import store
from services.inventory.main import service

__all__ = ["service"]

_release = store.release


async def _broken(connection, order_id):
    if order_id.startswith("stuck") and not Path("mended").exists():
        raise RuntimeError("the shelf is locked")
    return await _release(connection, order_id)


store.release = _broken
'''
_FLAGS = [
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@dataclass
class Seat:
    """Where somebody sits: a page of the browser, and what it has complained of."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page of the console."""
        self.page.goto(self.address.rstrip("/") + path, wait_until="domcontentloaded")

    def is_wider_than_its_window(self) -> bool:
        """Whether somebody has to scroll sideways."""
        script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(script))


class ConsoleWorld:
    """Services and console as processes of their own, in a namespace of their own."""

    def __init__(self, directory: Path, servers: dict[str, str], stack: ExitStack) -> None:
        self.directory = directory
        self.namespace = servers["SAGAS_NAMESPACE"]
        self._servers = servers
        self._stack = stack
        self._browser: Browser | None = None
        self.address = ""

    def sagas(self, *arguments: str) -> str:
        """Run a command to its end; what it printed."""
        ended = subprocess.run(
            self._command(*arguments),
            cwd=self.directory,
            env=self._environment(),
            check=True,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        return ended.stdout

    def run(self, *services: str) -> None:
        """Start services in one process, and wait until they work."""
        working(self.begin("run", *services, "--create-topics"), services)

    def serve(self, **variables: str) -> str:
        """Start a console; its address."""
        return address_of(self.begin("web", "--port", "0", **variables))

    def begin(self, *arguments: str, **variables: str) -> Running:
        """Start a command that stays."""
        process = subprocess.Popen(
            self._command(*arguments),
            cwd=self.directory,
            env=self._environment() | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(process)
        self._stack.callback(running.close)
        return running

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sagas.cli", *arguments]

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("SAGAS_")
        }
        return inherited | self._servers | {"PYTHONPATH": str(ROOT)}

    def place(self, *ids: str, customer: str = "ada") -> None:
        """Place orders of a customer, of whom ``broke`` has no money; ``rare…`` ask for what there is not."""
        orders = [
            OrderPlaced(
                order_id=id_,
                customer_id=customer,
                lines=(
                    OrderLine(
                        sku="rare" if id_.startswith("rare") else "tea",
                        quantity=2,
                        unit_price_cents=250,
                    ),
                ),
            )
            for id_ in ids
        ]

        async def run() -> None:
            async with (
                asyncio.timeout(DEADLINE_S),
                real_platform(self._settings, client_id="t") as at,
            ):
                client = client_of(at, [OrderFulfilment])
                await asyncio.gather(*map(client.start, orders))

        _apart(run)

    def spoil(self, service: str, key: str, value: bytes) -> None:
        """Publish a record that nobody can handle."""

        async def run() -> None:
            async with (
                asyncio.timeout(DEADLINE_S),
                real_platform(self._settings, client_id="t") as at,
            ):
                topic = at.topics.events(service)
                headers = (("ce_type", b"orders.OrderPlaced.v1"), ("ce_sagaid", key.encode()))
                await at.broker.publish(OutgoingRecord(topic, key.encode(), value, headers))

        _apart(run)

    @property
    def _settings(self) -> SagaSettings:
        return SagaSettings(
            kafka=self._servers["SAGAS_KAFKA"],
            redis=self._servers["SAGAS_REDIS"],
            namespace=self.namespace,
        )

    @contextmanager
    def seat(self, address: str = "", **look: Any) -> Iterator[Seat]:
        """A window of the browser that knows nothing yet. ``look`` is its size, colours and time zone."""
        with self._window(look) as context:
            page = context.new_page()
            seat = Seat(page, address or self.address)
            page.on("pageerror", lambda error: seat.complaints.append(str(error)))
            page.on("console", lambda line: _complain(seat.complaints, line.type, line.text))
            page.set_default_timeout(DEADLINE_S * 1000)
            yield seat

    @contextmanager
    def _window(self, look: dict[str, Any]) -> Iterator[BrowserContext]:
        if self._browser is None:
            driver = self._stack.enter_context(sync_playwright())
            self._browser = driver.chromium.launch(
                executable_path=chromium(), chromium_sandbox=False, args=_FLAGS
            )
            self._stack.callback(self._browser.close)
        usual = {
            "viewport": {"width": 1280, "height": 900},
            "timezone_id": "America/New_York",
            "locale": "en-GB",
        }
        context = self._browser.new_context(**usual | look)
        try:
            yield context
        finally:
            context.close()


def _slow(directory: Path) -> None:
    """The events with a choreography that has patience: found before ours, for it is the project's."""
    shutil.copytree(
        ROOT / "events", directory / "events", ignore=shutil.ignore_patterns("__pycache__")
    )
    file = directory / "events" / "choreographies" / "order_fulfilment.py"
    text = file.read_text()
    assert "step_timeout = seconds(30)" in text
    file.write_text(text.replace("step_timeout = seconds(30)", "step_timeout = seconds(600)"))


def _apart(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it to its end in a thread of its own: the browser's driver has the loop of this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(work())).result(DEADLINE_S)


def working(running: Running, services: Sequence[str]) -> None:
    """Wait until the services work."""
    running.wait_for("worker.running", len(services))


def address_of(running: Running) -> str:
    """The address of a console, once it listens."""
    (line,) = running.wait_for("console.listening")
    return str(line["address"])


def _complain(complaints: list[str], kind: str, text: str) -> None:
    """What a browser says of a page; that a server answered with an error is no fault of the page."""
    if kind in {"error", "warning"} and not re.search(r"Failed to load resource", text):
        complaints.append(text)


@contextmanager
def console_world(
    kafka: str, redis: str, directory: Path, services: Sequence[str], *, namespace: str = ""
) -> Iterator[ConsoleWorld]:
    """The world with these services running and a console that everybody on this machine may use."""
    (directory / "pyproject.toml").write_text(_PYPROJECT)
    (directory / "trouble.py").write_text(_TROUBLE)
    _slow(directory)
    servers = {
        "SAGAS_KAFKA": kafka,
        "SAGAS_REDIS": redis,
        "SAGAS_NAMESPACE": namespace or f"console-{uuid4().hex[:12]}",
        "SAGAS_PARTITIONS": "2",
        "SAGAS_LOG_FORMAT": "json",
        "SAGAS_DATA_DIR": str(directory / "data"),
        "SAGAS_INVENTORY_STOCK": '{"tea": 1000000, "rare": 0}',
        "SAGAS_PAYMENTS_ACCOUNTS": '{"broke": 0}',
    }
    with ExitStack() as stack:
        world = ConsoleWorld(directory, servers, stack)
        begun = world.begin("run", *services, "--create-topics"), world.begin("web", "--port", "0")
        working(begun[0], services)
        world.address = address_of(begun[1])
        yield world
