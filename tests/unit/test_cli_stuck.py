"""What `sagas list --stuck` and `sagas explain` say about wrong use, and how a long list is summed up."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagas.cli.stuck import _summary
from sagas.operating.explaining import Why
from sagas.operating.stuck import StuckList
from tests.cli_project import write_project


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--stuck", "--status", "parked"], "leave out --status"),
        (["list", "--stuck", "--factor", "0.5"], "--factor"),
        (["explain"], "Missing argument 'SAGA_ID'"),
        (["explain", "o-1", "--saga", "orderin"], "Did you mean 'ordering'?"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = write_project(tmp_path).sagas(*arguments)
    assert ended.code == 2
    assert said in ended.only_line


def test_a_server_that_is_away_is_one_line(tmp_path: Path) -> None:
    away = {"SAGAS_REDIS": "redis://127.0.0.1:1/0", "SAGAS_KAFKA": "127.0.0.1:1"}
    shop = write_project(tmp_path)
    for arguments in (["explain", "o-1"], ["list", "--stuck"]):
        ended = shop.sagas(*arguments, "--timeout", "2", **away)
        assert ended.code == 5
        assert "127.0.0.1:1/0 is not available" in ended.only_line


def test_a_factor_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    ended = write_project(tmp_path).sagas("list", "--stuck", SAGAS_STUCK_FACTOR="0")
    assert ended.code == 2
    assert "SAGAS_STUCK_FACTOR is '0'" in ended.only_line


def test_the_summary_says_how_far_was_looked() -> None:
    whole = StuckList(lines=[], by_why={}, looked_at=3, unfinished=3)
    assert _summary(whole) == "None is stuck among 3 that have not ended."
    bounded = StuckList(
        lines=[], by_why={Why.PARKED: 1200, Why.SLOW: 3}, looked_at=2000, unfinished=250_000
    )
    assert _summary(bounded) == (
        "1,203 stuck (1,200 parked, 3 slow) among 2,000 that were looked at, of 250,000 that have not "
        "ended: those unchanged longest, those that changed last, and those with timers due. --look N looks "
        "at more. 0 are shown; --limit shows more."
    )
