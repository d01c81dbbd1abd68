"""Log lines: their form, and the closed set of their names."""

from __future__ import annotations

import ast
import importlib
import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from sagas.core.errors import SettingsError
from sagas.observability.events import LogEvent
from sagas.observability.logs import configure_logs

ROOT = Path(__file__).resolve().parents[2]
METHODS = {
    f"{prefix}{level}"
    for prefix in ("", "a")
    for level in ("debug", "info", "warning", "error", "exception", "critical")
}
LOGGERS = {"_log", "log", "logger"}


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(logs: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in logs.getvalue().splitlines()]


# --- the form -------------------------------------------------------------------------------------


def test_json_lines(logs: io.StringIO) -> None:
    configure_logs("info", "json", logs)
    log = structlog.get_logger()
    with bound_contextvars(saga="ordering", saga_id="o1"):
        log.info(LogEvent.SAGA_EVENT, step="reserve_stock", odd=object)
    log.debug(LogEvent.TABLE_CONFLICT)
    (line,) = lines(logs)
    assert list(line)[:3] == ["time", "level", "event"]
    assert line["event"] == "saga.event"
    assert line["level"] == "info"
    assert (line["saga"], line["saga_id"], line["step"]) == ("ordering", "o1", "reserve_stock")
    assert str(line["time"]).endswith("Z")
    assert datetime.fromisoformat(str(line["time"])).tzinfo is not None


@pytest.mark.parametrize(("level", "shown"), [("INFO", False), ("DEBUG", True)])
def test_ids_are_not_for_the_eye(logs: io.StringIO, level: str, shown: bool) -> None:
    configure_logs(level, "console", logs)
    structlog.get_logger().info(LogEvent.SAGA_EVENT, saga_id="o1", message_id="m1", trace_id="t1")
    assert "o1" in logs.getvalue()
    assert ("m1" in logs.getvalue()) is shown


def test_an_exception_stays_on_one_line(logs: io.StringIO) -> None:
    configure_logs("INFO", "json", logs)
    error = ValueError("no")
    structlog.get_logger().warning(LogEvent.HANDLER_FAILED, exc_info=error)
    (line,) = lines(logs)
    assert "ValueError: no" in str(line["exception"])


def test_libraries_are_routed_from_warning_on(logs: io.StringIO) -> None:
    configure_logs("DEBUG", "json", logs)
    library = logging.getLogger("aiokafka.conn")
    library.info("chatter")
    library.warning("no %s", "broker")
    (line,) = lines(logs)
    assert line["event"] == "library.message"
    assert (line["logger"], line["message"]) == ("aiokafka.conn", "no broker")
    assert line["level"] == "warning"


def test_what_a_library_says_again_and_again_is_said_once_and_counted(logs: io.StringIO) -> None:
    """aiokafka says 160 times a second that its broker is away."""
    configure_logs("INFO", "json", logs)
    library = logging.getLogger("aiokafka")

    def said(text: str, second: float, *, about: str = "node 1") -> None:
        fields = {"msg": text, "args": (about,), "name": "aiokafka", "levelno": logging.ERROR}
        record = logging.makeLogRecord({**fields, "levelname": "ERROR", "created": second})
        library.handle(record)

    for number in range(500):
        said("no connection to %s", 100 + number / 100)
    said("another trouble: %s", 105)
    said("no connection to %s", 105, about="node 2")
    said("no connection to %s", 111)
    said("no connection to %s", 130)
    told = [(line["message"], line.get("repeated")) for line in lines(logs)]
    assert told == [
        ("no connection to node 1", None),
        ("another trouble: node 1", None),
        ("no connection to node 2", None),
        ("no connection to node 1", 499),
        ("no connection to node 1", None),
    ]


def test_the_console_is_for_people(logs: io.StringIO) -> None:
    configure_logs("INFO", "console", logs)
    structlog.get_logger().info(LogEvent.WORKER_RUNNING, service="orders")
    logging.getLogger("redis").error("lost")
    text = logs.getvalue()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[info ", text)
    assert "service=orders" in text
    assert "message=lost" in text
    assert "\x1b" not in text


def test_unknown_levels_and_formats_are_refused() -> None:
    with pytest.raises(SettingsError, match="use one of DEBUG"):
        configure_logs("LOUD")
    with pytest.raises(SettingsError, match="use one of console, json"):
        configure_logs("INFO", "xml")


# --- the names ------------------------------------------------------------------------------------


def logged_names(source: str, module: str) -> Iterator[tuple[int, str | None]]:
    """The line and the name of every log call; None for a name that is not said on the spot."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in METHODS
            and is_logger(node.func.value)
        ):
            yield node.lineno, name_of(node.args[0] if node.args else None, module)


def is_logger(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in LOGGERS
    if isinstance(node, ast.Attribute):
        return node.attr in LOGGERS
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_logger")


def name_of(node: ast.expr | None, module: str) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        names = getattr(importlib.import_module(module), node.value.id, None)
        return str(getattr(names, node.attr, None))
    return None


def all_logged() -> dict[str, str | None]:
    found = {}
    for path in sorted((ROOT / "sagas").rglob("*.py")):
        place = path.relative_to(ROOT)
        module = ".".join(place.with_suffix("").parts)
        for line, name in logged_names(path.read_text(), module):
            found[f"{place}:{line}"] = name
    return found


def test_every_log_call_uses_a_name_of_the_set() -> None:
    known = {event.value for event in LogEvent}
    assert {place: name for place, name in all_logged().items() if name not in known} == {}


def test_every_name_of_the_set_is_logged_somewhere() -> None:
    silent = {event.value for event in LogEvent} - set(all_logged().values())
    assert silent == {LogEvent.LIBRARY_MESSAGE.value}


def test_the_document_lists_every_name() -> None:
    text = (ROOT / "docs/reference/logs.md").read_text()
    row = re.compile(r"^\| `([a-z_.]+)` \| (?:debug|info|warning|error)", re.MULTILINE)
    documented = set(row.findall(text))
    assert documented == {event.value for event in LogEvent}


def test_other_names_are_seen() -> None:
    source = """\
_log.info('a.b')
self.logger.error(name)
get_logger().info(LogEvent.SAGA_EVENT)
nobody.info('no')
"""
    assert list(logged_names(source, "sagas.observability.events")) == [
        (1, "a.b"),
        (2, None),
        (3, "saga.event"),
    ]
