"""Two minutes of the campaign: real servers of its own, every kind of fault, and nothing found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from campaign.schedule import Kind

ROOT = Path(__file__).resolve().parents[2]
_ENDED_S = 420


@pytest.mark.slow
@pytest.mark.timeout(_ENDED_S + 60)
def test_two_minutes_of_faults_lose_nothing_and_double_nothing(
    kafka_servers: str,
    tmp_path: Path,
) -> None:
    report = tmp_path / "campaign.md"
    options = ("--minutes", "2", "--seed", "11", "--orders-per-second", "3")
    with (
        (tmp_path / "progress").open("wb") as progress,
        subprocess.Popen(
            ["scripts/campaign", *options, "--json", "--report", report],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=progress,
            text=True,
            env=os.environ | {"COLUMNS": "200"},
            start_new_session=True,
        ) as campaign,
    ):
        try:
            said, _ = campaign.communicate(timeout=_ENDED_S)
        except subprocess.TimeoutExpired:
            os.killpg(campaign.pid, signal.SIGTERM)
            raise
    found = json.loads(said)
    assert found["findings"] == []
    assert campaign.returncode == 0
    assert set(found["faults_by_kind"]) == {kind.value for kind in Kind}
    # A campaign in which nothing happened proves nothing. Whether a step times out is up to the machine.
    assert found["sagas"]["COMPLETED"] > 0
    assert found["sagas"]["COMPENSATED"] > 0
    assert found["topics"]["records beyond one for each event"] > 0
    assert found["topics"]["tombstones"] > 0
    assert found["logs"]["table.conflict"] > 0
    assert found["rebuilds"]["rebuilds of lost buckets"] > 1
    assert found["rebuilds"]["sagas put back by these"] > 0
    assert "Nothing was found" in report.read_text()
