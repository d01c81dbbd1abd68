"""The screen of `sagas top`: it is as wide and high as the terminal, and the worst is never left out."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sagas.cli.overview import document_of, screen
from sagas.core.instance import SagaStatus
from sagas.operating.explaining import ServiceFact, Why
from sagas.operating.overview import Overview, SagaCounts
from sagas.operating.stuck import StuckList, StuckSaga
from sagas.ports import Listed
from tests.cli_project import write_project
from tests.explained import PAYING, told
from tests.recorded import at

COUNTS = {status.value: 7 for status in SagaStatus}
RUDE = "OSError: \x1b[2J no line " + "x" * 500


def stuck(number: int) -> StuckSaga:
    listed = Listed(
        saga="order-fulfilment",
        saga_id=f"order-with-a-long-name-{number}",
        status="RUNNING",
        changed_at_ms=at(0),
    )
    return StuckSaga(listed, told(PAYING, 400))


def seen(number: int) -> Overview:
    lines = [stuck(one) for one in range(min(number, 20))]
    by_why = {Why.TIMER: number} if number else {}
    return Overview(
        now_ms=at(400),
        sagas=[
            SagaCounts(
                saga="order-fulfilment",
                by_status=COUNTS,
                started_per_s=12.34,
                ended_per_s=0.5,
                idlest=Listed(
                    saga="order-fulfilment", saga_id="o-1", status="RUNNING", changed_at_ms=at(0)
                ),
            )
        ],
        services=[
            ServiceFact(service="payments", workers=0, lag=None),
            ServiceFact(
                service="inventory",
                workers=2,
                lag=12_345,
                last_error=RUDE,
                error_at_ms=at(390),
                states={"running": 1, "backlog": 1},
            ),
        ],
        stuck=StuckList(lines=lines, by_why=by_why, looked_at=50, unfinished=21),
    )


def drawn(overview: Overview, width: int, height: int | None, problem: str = "") -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height or 50, highlight=False, markup=False)
    console.print(screen(overview, "shop", width=width, height=height, problem=problem))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
@pytest.mark.parametrize("number", [0, 1, 30])
def test_it_fits_into_the_terminal(width: int, number: int) -> None:
    for height in (14, 24, 50, None):
        lines = drawn(seen(number), width, height)
        assert lines[0].startswith(f"{number} stuck" if number else "none stuck")
        assert max(map(len, lines)) <= width
        assert not any("\x1b" in line for line in lines)
        if height is not None and width >= 60 and height >= 24:
            assert len(lines) <= height


def test_what_it_says() -> None:
    lines = drawn(seen(30), 160, 24)
    text = "\n".join(lines)
    assert "RUNNING" in text
    assert "12.3" in text
    assert "o-1 6 min" in text
    assert re.search(r"payments +none +\?", text)
    assert "1 backlog, 1 running" in text
    assert "30 stuck: 30 timer overdue (21 unfinished looked at)" in text
    assert "`sagas list --stuck`" in text
    assert text.index("30 stuck") < text.index("payments"), "what is wrong stands above who works"
    assert "None is stuck (21 unfinished looked at)." in drawn(seen(0), 160, 24)


def test_some_of_the_stuck_are_seen_on_the_smallest_screen() -> None:
    shown = drawn(seen(30), 80, 14)[:14]
    assert sum("order-with-a-long-name" in line for line in shown) >= 3


def test_a_narrow_one_says_the_counts_in_a_line() -> None:
    text = " ".join(drawn(seen(0), 70, 24))
    assert "order-fulfilment: 7 RUNNING  7 COMPENSATING" in text
    assert "began 12.3/s, ended 0.5/s" in text


def test_a_server_that_went_away_is_told() -> None:
    assert "Redis is away" in drawn(seen(0), 80, 24, problem="Redis is away")[1]


def test_the_same_for_scripts() -> None:
    document = document_of(seen(2))
    assert json.loads(json.dumps(document)) == document
    assert document["stuck"] == {
        "found": 2,
        "by_why": {"timer overdue": 2},
        "looked_at": 50,
        "unfinished": 21,
        "sagas": [
            {
                "id": f"order-with-a-long-name-{number}",
                "saga": "order-fulfilment",
                "status": "RUNNING",
                "why": "timer overdue",
                "since": "2026-01-31T14:00:30.500Z",
                "text": (
                    "The timer authorize_payment was due at 2026-01-31T14:00:30.500Z (6 min ago), and no "
                    "participant has handled it."
                ),
            }
            for number in range(2)
        ],
    }


def test_the_first_look_knows_no_rate() -> None:
    overview = seen(0)
    first = replace(overview, sagas=[replace(overview.sagas[0], started_per_s=None)])
    assert "began ?/s" in " ".join(drawn(first, 70, 24))


def test_json_is_one_document(tmp_path: Path) -> None:
    ended = write_project(tmp_path).sagas("top", "--json")
    assert (ended.code, "say --once, too" in ended.only_line) == (2, True)
