"""Lines with an id in them: it stays in one piece, what is said of it is never cut off, a pipe has room."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from sagas.cli.listing import _line
from sagas.cli.main import main
from sagas.cli.output import print_rows
from sagas.core.errors import ContractViolation
from sagas.ports import Listed

ID = "38f5e526-fccc-4c73-a93d-e0b7e20853ff"
REASON = "the undo of reserve_stock failed for good after 3 attempts: KeyError: 'lot'."
COLUMNS = ("id", "status", "why", "for", "reason")
ROWS = [
    (ID, "COMPENSATING", "no worker", "1 min", REASON),
    ("o-1", "PARKED", "parked", "9.2 s", ""),
]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 160])
def test_nothing_is_cut_off(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_rows(COLUMNS, ROWS, right=frozenset({"for"}))
    shown = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width
    if width > len(ID):
        assert ID in shown
    letters = re.sub(r"\s", "", shown)
    for word in re.findall(r"\w+", REASON):
        assert word in letters


def test_a_pipe_gets_one_line_for_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_rows(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert ID in lines[2]
    assert REASON in lines[2]


async def test_a_damaged_row_hides_no_other() -> None:
    async def load(*_: Any, **__: Any) -> None:
        raise ContractViolation("The row of S 'o' in Redis is damaged.")

    table: Any = SimpleNamespace(load=load)
    saga: Any = SimpleNamespace(definition=None)
    listed = Listed(saga="S", saga_id="o", status="RUNNING", changed_at_ms=0)
    assert "is damaged" in (await _line(table, saga, listed)).problem


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "jinja2"])
def test_a_console_without_its_extra_says_so(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as ended:
        main(["web"])
    assert ended.value.code == 2
    assert f"needs the extra 'web' ({missing} is not installed)" in capsys.readouterr().err
