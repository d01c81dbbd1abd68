"""The monitor's edges: its state file, its settings, and its screen."""

from __future__ import annotations

import asyncio
import io
import re
import socket
import sqlite3
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.console import Console
from typer.testing import CliRunner

from sagas.adapters.faust.app import TailSettings, tail_app
from sagas.adapters.faust.state import StateFile
from sagas.core.errors import SettingsError
from services.monitor.__main__ import main, run
from services.monitor.screen import show
from services.monitor.settings import MonitorSettings
from tests.observed import Reading, a_day, counted, observer_of


@pytest.fixture(autouse=True)
def _logs_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs of this process are configured by nobody: other tests look at them."""
    monkeypatch.setattr("services.monitor.__main__.configure_logs", lambda *_: None)


def test_what_is_kept_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "monitor.db"
    state = StateFile(path)
    state.write({"a": b"1", "b": b"2", "c": None})
    state.write({"a": None, "b": b"3"})
    state.close()
    again = StateFile(path)
    assert again.read() == {"b": b"3"}
    again.clear()
    assert again.read() == {}
    again.close()


def test_two_monitors_do_not_share_a_file(tmp_path: Path) -> None:
    first = StateFile(tmp_path / "monitor.db")
    with pytest.raises(SettingsError, match="another monitor"):
        StateFile(tmp_path / "monitor.db")
    first.close()
    StateFile(tmp_path / "monitor.db").close()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(SettingsError, match="delete it: the topics are read again"):
        StateFile(path)


async def test_what_was_not_written_is_written_the_next_time(tmp_path: Path) -> None:
    observer = observer_of()
    settings = TailSettings(servers="127.0.0.1:1", group="test.monitor", state=tmp_path / "m.db")
    app = tail_app(observer, settings)
    app.open_state()
    assert app.state_file is not None
    app.state_file._database.execute("ALTER TABLE kept RENAME TO away")
    reading = Reading(await a_day(), observer)
    reading.to_end()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await app.keep()
    app.state_file._database.execute("ALTER TABLE away RENAME TO kept")
    reading.look(later_ms=20_000)
    await app.keep()
    again = observer_of()
    assert again.put_back(app.state_file.read())
    assert counted(again) == counted(observer)
    await app.on_shutdown()
    assert app.state_file is None


def test_objectives_are_declared_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "SAGAS_MONITOR_OBJECTIVES",
        '[{"saga": "order-fulfilment", "within": "5s", "over": "24h", "ratio": 0.99}]',
    )
    monkeypatch.setenv("SAGAS_MONITOR_WINDOW", "30s")
    policy = MonitorSettings().policy
    assert policy.window_ms == 30_000
    (objective,) = policy.objectives
    assert (objective.name, objective.within_ms) == ("order-fulfilment 5s", 5_000)
    assert objective.over_ms == policy.keep_ms == 86_400_000


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WINDOW", "soon", "expected a span such as"),
        ("KEEP", "forever", "expected a span such as"),
        ("OBJECTIVES", '[{"saga": "a", "within": "2h", "over": "1h"}]', "not shorter than over"),
        ("OBJECTIVES", '[{"saga": "a", "within": "2s", "over": "1h", "ratio": 1}]', "less than 1"),
    ],
)
def test_settings_that_can_not_work_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"SAGAS_MONITOR_{name}", value)
    with pytest.raises(ValidationError, match=words):
        MonitorSettings()


def screen_of(views: dict[str, object]) -> str:
    out = io.StringIO()
    show(views, Console(file=out, width=110, highlight=False, markup=False))
    return out.getvalue()


def test_the_screen_shows_every_view() -> None:
    observer = observer_of()
    assert "are being read from their beginning" in screen_of(observer.views())
    reading = Reading(asyncio.run(a_day()), observer)
    reading.to_end()
    reading.look(later_ms=70_000)
    shown = screen_of(observer.views())
    assert "3 COMPLETED, 3 COMPENSATED" in shown
    assert "1 RUNNING, 1 PARKED" in shown
    assert "undo of reserve_stock" in shown
    assert "90.000% end within 3s over 24h" in shown
    assert "-400.0%" in shown
    assert "Candidates for stuck sagas: 2" in shown
    assert "waits for inventory to perform reserve_stock" in shown


def test_the_screen_prints_no_terminal_sequences_of_others() -> None:
    observer = observer_of()
    views = observer.views()
    hostile = {
        "saga": "a",
        "saga_id": "\x1b[2J",
        "status": "RUNNING",
        "since": None,
        "reason": "[b]",
    }
    views["stuck"] = {"count": 1, "longest": [hostile]}
    shown = screen_of(views)
    assert "\x1b" not in shown
    assert "[b]" in shown


@pytest.mark.parametrize("kafka", ["127.0.0.1:1", "127.0.0.1:1,[::1]:1", "127.0.0.1:none"])
def test_a_kafka_that_is_away_is_one_line(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAS_KAFKA", kafka)
    with pytest.raises(SystemExit, match=rf"^error: Kafka at {re.escape(kafka)} is not available"):
        run()


def test_a_port_that_is_taken_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("SAGAS_KAFKA", f"127.0.0.1:{port}")
        monkeypatch.setenv("SAGAS_MONITOR_HTTP_PORT", str(port))
        with pytest.raises(
            SystemExit, match=rf"^error: port {port} on 127.0.0.1 can not be opened"
        ):
            run()


def test_a_monitor_without_its_extra_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faust", None)
    monkeypatch.delitem(sys.modules, "sagas.adapters.faust.app", raising=False)
    with pytest.raises(SystemExit, match="needs the extra 'faust'"):
        run()


def test_views_say_where_they_have_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    for url, words in (
        ("http://127.0.0.1:1", "no monitor answers at http://127.0.0.1:1/views"),
        ("file:///etc", "is no address of a monitor"),
    ):
        ended = CliRunner().invoke(main, ["views", "--url", url])
        assert ended.exit_code == 1
        assert words in str(ended.exception) or words in ended.output
