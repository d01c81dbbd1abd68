"""Mistakes on the command line and in the settings: one line each, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_project import Project, write_project


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "Did you mean 'list'? `sagas --help` shows how."),
        (["list", "--xyz"], "No such option: --xyz. `sagas list --help` shows how."),
        (["list", "--status", "done"], "'done' is not one of 'running'"),
        (["list", "--limit", "0"], "`sagas list --help` shows how."),
        (["list", "--saga", "orderin"], "Did you mean 'ordering'?"),
        (["show"], "Missing argument 'SAGA_ID'"),
        (["run"], "Which services?"),
        (["run", "inventry"], "Did you mean 'inventory'?"),
        (["run", "--all", "orders"], "leave out orders, or leave out --all"),
        (["run", "--embedded", "orders"], "leave out orders, or leave out --embedded"),
        (["run", "orders", "--livez-port", "99999"], "--livez-port"),
    ],
)
def test_a_mistake_is_one_line(shop: Project, arguments: list[str], said: str) -> None:
    ended = shop.sagas(*arguments)
    assert ended.code == 2
    assert ended.only_line.startswith("error: ")
    assert said in ended.only_line
    assert ended.out == ""


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SAGAS_REDIS", "localhost:6379", "expected a URL such as redis://"),
        ("SAGAS_REDIS", "redis://localhost:port", "Port could not be cast"),
        ("SAGAS_PARTITIONS", "many", "valid integer"),
        ("SAGAS_PARTITIONS", "0", "greater than or equal to 1"),
        ("SAGAS_NAMESPACE", "My Shop", "use lower-case letters"),
        ("SAGAS_KAFKA", "", "at least 1 character"),
        ("SAGAS_LOG_LEVEL", "LOUD", "expected one of DEBUG"),
        ("SAGAS_LOG_FORMAT", "xml", "expected one of console, json"),
    ],
)
@pytest.mark.parametrize("command", [["list"], ["run", "inventory"]])
def test_a_setting_that_can_not_work(
    shop: Project, command: list[str], variable: str, value: str, said: str
) -> None:
    ended = shop.sagas(*command, **{variable: value})
    assert ended.code == 2
    assert ended.only_line.startswith(f"error: {variable} is ")
    assert said in ended.only_line


def test_a_password_is_not_shown(shop: Project) -> None:
    ended = shop.sagas("list", SAGAS_REDIS="http://user:secret@localhost")
    assert ended.code == 2
    assert "secret" not in ended.only_line
    away = shop.sagas("list", SAGAS_REDIS="redis://user:secret@127.0.0.1:1")
    assert away.code == 5
    assert "secret" not in away.only_line


def test_a_redis_that_is_away(shop: Project) -> None:
    for command in (["list"], ["show", "o1"]):
        ended = shop.sagas(*command, SAGAS_REDIS="redis://127.0.0.1:1/0")
        assert ended.code == 5
        assert "Redis at redis://127.0.0.1:1/0 is not available" in ended.only_line
        assert "SAGAS_REDIS" in ended.only_line


def test_a_kafka_that_is_away(shop: Project) -> None:
    ended = shop.sagas("topics", "plan", SAGAS_KAFKA="127.0.0.1:1")
    assert ended.code == 5
    assert "Kafka at 127.0.0.1:1 is not available" in ended.only_line
    assert "SAGAS_KAFKA" in ended.only_line


FAILING = """

from contextlib import asynccontextmanager


@service.lifespan
@asynccontextmanager
async def resources():
    raise RuntimeError("no database here")
    yield ()
"""


def test_a_service_that_fails_is_logged_and_ends_in_one_line(shop: Project) -> None:
    payments = shop.directory / "shop/payments.py"
    payments.write_text(payments.read_text() + FAILING)
    ended = shop.process("run", "--embedded", SAGAS_LOG_FORMAT="json")
    assert ended.code == 1
    *logged, last = ended.err.splitlines()
    assert last == "error: A service has failed with RuntimeError: no database here"
    (failed,) = [line for line in map(json.loads, logged) if line["event"] == "run.failed"]
    assert "shop/payments.py" in failed["exception"]


def test_a_wrong_setting_of_a_service_is_one_line(shop: Project) -> None:
    payments = shop.directory / "shop/payments.py"
    wrong = "from sagas.application import SagaSettings; SagaSettings(partitions=0)"
    payments.write_text(
        payments.read_text() + FAILING.replace('raise RuntimeError("no database here")', wrong)
    )
    ended = shop.process("run", "--embedded", SAGAS_LOG_LEVEL="WARNING")
    assert ended.code == 2
    assert "SAGAS_PARTITIONS is 0" in ended.only_line


HELPS: list[list[str]] = [
    ["run"],
    ["list"],
    ["show"],
    ["timers"],
    ["workers"],
    ["cancel"],
    ["resume"],
    ["skip"],
    ["check"],
    ["topics", "plan"],
    ["topics", "apply"],
]


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_every_command_has_an_example(tmp_path: Path, command: list[str]) -> None:
    ended = Project(tmp_path).sagas(*command, "--help")
    assert ended.code == 0
    assert "Example: " in ended.out
    assert f"sagas {' '.join(command)}" in ended.out


def test_help_tells_the_exit_codes(tmp_path: Path) -> None:
    bare, asked = Project(tmp_path).sagas(), Project(tmp_path).sagas("--help")
    assert bare.out == asked.out
    assert bare.code == asked.code == 0
    text = " ".join(asked.out.split())
    for code in (
        "0 ok",
        "1 something to mend",
        "2 wrong usage",
        "3 topics",
        "4 not",
        "5 a server",
        "6 ref",
    ):
        assert code in text


def test_the_version(tmp_path: Path) -> None:
    ended = Project(tmp_path).sagas("--version")
    assert ended.code == 0
    assert ended.out.startswith("sagas ")
