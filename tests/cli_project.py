"""A small project on disk for tests of the command line: one saga, three services."""

from __future__ import annotations

import importlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import structlog

from sagas.cli.main import main

__all__ = ["Ended", "Project", "write_project"]

PYPROJECT = """\
[project]
name = "shop"
version = "1"

[tool.sagas]
services = ["shop.orders:service", "shop.inventory:service", "shop.payments:service"]
sagas = ["shop.ordering:Ordering"]
"""

MODULES = {
    "__init__": "",
    "ordering": """\
from sagas import Event, Saga, Start, Step


class OrderEvent(Event):
    order_id: str


class OrderPlaced(OrderEvent, type="orders.OrderPlaced.v1"):
    amount: int = 1


class OrderCancelled(OrderEvent, type="orders.OrderCancelled.v1"):
    pass


class StockReserved(OrderEvent, type="inventory.StockReserved.v1"):
    pass


class StockReleased(OrderEvent, type="inventory.StockReleased.v1"):
    pass


class PaymentCaptured(OrderEvent, type="payments.PaymentCaptured.v1"):
    pass


class PaymentDeclined(OrderEvent, type="payments.PaymentDeclined.v1"):
    reason: str


class Ordering(Saga):
    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=OrderCancelled, state="CREATED")
    reserve_stock = Step(
        by="inventory", on=OrderPlaced, done=StockReserved, undone=StockReleased, state="RESERVED"
    )
    capture_payment = Step(
        by="payments",
        on=StockReserved,
        done=PaymentCaptured,
        refused=PaymentDeclined,
        pivot=True,
        state="PAID",
    )
""",
    "orders": """\
from sagas import Service, StepContext
from shop.ordering import OrderCancelled, Ordering, OrderPlaced

service = Service("orders")


@service.undoes(Ordering.start)
async def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
    return OrderCancelled(order_id=order.order_id)
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
    return StockReleased(order_id=order.order_id)
""",
    "payments": """\
from sagas import Service, StepContext
from shop.ordering import Ordering, PaymentCaptured, PaymentDeclined, StockReserved

service = Service("payments")


@service.performs(Ordering.capture_payment)
async def capture(
    reserved: StockReserved, context: StepContext
) -> PaymentCaptured | PaymentDeclined:
    if reserved.order_id.startswith("poor"):
        return PaymentDeclined(order_id=reserved.order_id, reason="no funds")
    return PaymentCaptured(order_id=reserved.order_id)
""",
}


@dataclass(frozen=True)
class Ended:
    """How a command has ended."""

    code: int
    out: str
    err: str

    @property
    def only_line(self) -> str:
        """What it said on standard error: one line, and no traceback anywhere."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self
        assert "Traceback" not in self.out + self.err, self
        return lines[0]


@dataclass(frozen=True)
class Project:
    """A project's directory, and the command line run in it as a process of its own."""

    directory: Path

    def write(self, name: str, text: str) -> None:
        """Write a file. Python tells a changed module from its compiled one by size and second, which a test
        may both keep.
        """
        path = self.directory / name
        path.write_text(text)
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def environment(self, **variables: str) -> dict[str, str]:
        """Only what a test says: nothing of the developer's own settings."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("SAGAS_")
        }
        return inherited | {"COLUMNS": "100", "NO_COLOR": "1", "TZ": "UTC"} | variables

    def sagas(self, *arguments: str, **variables: str) -> Ended:
        """Run a command to its end in this process, which is much faster."""
        out, err = io.StringIO(), io.StringIO()
        environment = patch.dict(os.environ, self.environment(**variables), clear=True)
        streams = redirect_stdout(out), redirect_stderr(err)
        code = -1
        with environment, streams[0], streams[1], chdir(self.directory), _left_as_it_was():
            try:
                main(list(arguments))
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Ended(code, out.getvalue(), err.getvalue())

    def process(self, *arguments: str, **variables: str) -> Ended:
        """Run a command to its end in a process of its own."""
        ended = subprocess.run(
            [sys.executable, "-m", "sagas.cli", *arguments],
            cwd=self.directory,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command that stays; what it logs is read from its standard error."""
        return subprocess.Popen(
            [sys.executable, "-m", "sagas.cli", *arguments],
            cwd=self.directory,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@contextmanager
def _left_as_it_was() -> Iterator[None]:
    """Forget the project's modules and what the command has set up about logs."""
    path, root = sys.path[:], logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        sys.path[:] = path
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]
        importlib.invalidate_caches()


def write_project(
    directory: Path, *, pyproject: str = PYPROJECT, modules: Mapping[str, str] = MODULES
) -> Project:
    """Write the project there."""
    package = directory / "shop"
    package.mkdir()
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text)
    (directory / "pyproject.toml").write_text(pyproject)
    return Project(directory)
