"""The benchmark works: both systems end their orders and every figure is there. Not how fast."""

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIGURES = (
    "ratio_sagas_per_s",
    "cpu_ms_per_saga",
    "one_process_ratio",
    "p50_ratio_20",
    "p50_ratio_100",
    "redis_bytes_live",
    "redis_bytes_ended",
    "journal_postgresql_ratio",
    "embedded_sagas_per_s",
)


def bench(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/bench", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


@pytest.mark.slow
def test_the_smallest_benchmark_measures_every_figure(
    kafka_servers: str, redis_url: str, postgresql_url: str
) -> None:
    ran = bench(
        *("--smoke", "--json", "--shared"),
        SAGAS_KAFKA=kafka_servers,
        SAGAS_REDIS=redis_url,
        SAGAS_POSTGRESQL=postgresql_url,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    for name in FIGURES:
        figure = result[name]
        assert figure.keys() == {"median", "min", "max"}, name
        assert figure["min"] <= figure["median"] <= figure["max"], name
        assert math.isfinite(figure["median"]), name
        if not name.startswith("redis_bytes"):  # others write to a shared server at the same time
            assert figure["median"] > 0, name
    assert set(result["setups"]) == {
        "pipeline",
        "framework",
        "framework, one process",
        "framework, journal postgresql",
    }
    assert result["machine"]["cores"] >= 1
    assert "settings: name smoke" in ran.stderr


@pytest.mark.parametrize("options", [("--rounds", "0"), ("--variant", "colour")])
def test_options_that_make_no_sense_are_refused(options: tuple[str, ...]) -> None:
    ran = bench(*options, "--shared")
    assert ran.returncode == 2
    assert options[0] in ran.stderr
