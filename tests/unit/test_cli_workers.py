"""``sagas workers`` without servers: how it looks, and what it says when they are away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagas.cli.workers import _Found, _print_json, _print_tables
from sagas.core.lifecycle import WorkerState
from sagas.ports import TopicPartition
from sagas.ports.workers import ErrorSeen, WorkerReport
from sagas.watching import ServiceLag, ServiceStanding
from tests.cli_project import write_project

NOW_MS = 1_800_000_000_000
AWAY = {"SAGAS_KAFKA": "127.0.0.1:1", "SAGAS_REDIS": "redis://127.0.0.1:1/0"}


def worker(service: str, **more: object) -> WorkerReport:
    said: dict[str, object] = {
        "id": f"{service}-0123456789ab",
        "service": service,
        "version": "1.4.0",
        "host": f"{service}-7d9f6c5b4-x2x9k",
        "pid": 7,
        "started_at_ms": NOW_MS - 3 * 3_600_000,
        "seen_at_ms": NOW_MS - 1_200,
        "state": WorkerState.RUNNING,
        "health": "accepting",
        "partitions": {"sagas.orders.events": (0, 1, 2, 3), "sagas.orders.control": (1,)},
        "in_flight": 3,
    }
    return WorkerReport.model_validate(said | more)


def found() -> _Found:
    full = worker(
        "payments",
        health="backlog",
        reason="12 messages are begun, and 10 are as many as may be",
        tags=("blue", "[bold]zone[/bold]"),
        last_error=ErrorSeen(at_ms=NOW_MS - 61_000, words="OSError: no\x1b[2J\nline"),
    )
    lag = ServiceLag(3, 1, {TopicPartition("sagas.orders.events", 2): 3})
    standings = [
        ServiceStanding("inventory", (worker("inventory"),), ServiceLag(0, 0)),
        ServiceStanding("payments", (full,), lag),
        ServiceStanding("shipping", ()),
    ]
    return _Found(standings, "Kafka at k:1 is not available: no answer.", NOW_MS)


def test_it_fits_a_terminal_and_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    _print_tables(found())
    out = capsys.readouterr().out
    tables = out.partition("payments on ")[0]
    assert max(map(len, tables.splitlines())) <= 100
    assert "\x1b" not in out
    assert "running, backlog" in out
    assert "1.2 s ago" in out
    assert "payments on payments-7d9f6c5b4-x2x9k/7: 12 messages are begun" in out
    assert "tags blue, [bold]zone[/bold]" in out
    assert r"last error 1 min 1 s ago, OSError: no\x1b[2J\nline" in out
    assert "shipping: no worker has said anything lately." in out
    assert "How far behind they are is not known. Kafka at k:1" in out


def test_it_says_the_same_to_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    _print_json(found())
    document = json.loads(capsys.readouterr().out)
    assert document["problem"].startswith("Kafka")
    inventory, payments, shipping = document["services"]
    assert (inventory["behind"], payments["behind"], shipping["behind"]) == (0, 3, None)
    assert payments["partitions_behind"] == [
        {"topic": "sagas.orders.events", "partition": 2, "behind": 3}
    ]
    (told,) = payments["workers"]
    assert (told["state"], told["health"], told["in_flight"]) == ("running", "backlog", 3)
    assert told["started_at"] == "2027-01-15T05:00:00.000Z"
    assert told["last_error"]["at"] == "2027-01-15T07:58:59.000Z"
    assert shipping["workers"] == []


def test_a_redis_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    ended = write_project(tmp_path).sagas("workers", "--timeout", "0.5", **AWAY)
    assert ended.code == 5
    assert "Redis at redis://127.0.0.1:1/0 is not available" in ended.only_line
