"""What is printed: the setups side by side, the figures with their ranges, where it was measured."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Observed, figure, of_pipeline
from benchmarks.plots import PARTS, SHARES, cpu_plot, latency_plot
from benchmarks.rounds import Effort
from benchmarks.setup import Setup

__all__ = ["as_json", "machine", "show"]

_LIBRARIES = ("aiokafka", "redis", "pydantic", "structlog", "sqlalchemy", "uvloop")

Rounds = Mapping[Setup, Sequence[Observed]]


def machine() -> dict[str, Any]:
    """Where it was measured, and with which versions."""
    cpu = [line for line in _text("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    memory = _text("/proc/meminfo").splitlines()
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.processor(),
        "cores": len(cpu),
        "memory": memory[0].partition(":")[2].strip() if memory else "",
        "load": _text("/proc/loadavg").split()[:3],
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "kafka": "4.2.0, one broker, acks=all, idempotent producers, linger 0",
        "redis-server": _first_line("redis-server", "--version") + ", appendfsync everysec",
        "postgresql": _first_line("postgres", "--version"),
    }


def show(rounds: Rounds, figures: Mapping[str, Figure], effort: Effort, console: Console) -> None:
    """Print everything as tables and plots, each figure as its median (and range)."""
    if rounds:
        console.print(_speeds(rounds), cpu_plot(rounds), "", sep="\n")
    if any(one.latencies for observed in rounds.values() for one in observed):
        console.print(_latencies(rounds), latency_plot(rounds), "", sep="\n")
    table = Table(title="Figures", title_justify="left")
    for heading in ("figure", "median", "min", "max"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, found in figures.items():
        table.add_row(name, *(f"{value:,.3f}" for value in found))
    console.print(table)
    settings = ", ".join(f"{name} {value}" for name, value in _fields(effort).items())
    console.print(f"settings: {settings}", markup=False, soft_wrap=True)
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    console.print(f"machine: {facts}", markup=False, soft_wrap=True)


def as_json(rounds: Rounds, figures: Mapping[str, Figure], effort: Effort) -> str:
    """The same as one line."""
    return json.dumps(
        {
            **{name: found.as_json() for name, found in figures.items()},
            "setups": {
                setup.name: _setup(observed, of_pipeline(setup, rounds))
                for setup, observed in rounds.items()
            },
            "settings": _fields(effort),
            "machine": machine(),
        }
    )


def _setup(observed: Sequence[Observed], share: Figure | None) -> dict[str, Any]:
    throughputs = [one.throughput for one in observed]
    parts = [part for part in PARTS if part in throughputs[0].cpu_ms]
    return {
        "sagas_per_s": figure(one.sagas_per_s for one in observed).as_json(),
        "of_pipeline": None if share is None else share.as_json(),
        "cpu_ms": {p: figure(t.cpu_ms[p] for t in throughputs).as_json() for p in parts},
        "peak_kb": {p: figure(t.peak_kb[p] for t in throughputs).as_json() for p in parts},
        "latency_ms": {
            f"{latencies.rate:g}": {
                f"p{share * 100:g}": figure(
                    one.p(share, latencies.rate) for one in observed
                ).as_json()
                for share in SHARES
            }
            for latencies in observed[0].latencies
        },
    }


def _speeds(rounds: Rounds) -> Table:
    table = Table(title="At full speed: median (range)", title_justify="left")
    table.add_column("setup")
    for heading in ("sagas/s", "of the pipeline", "CPU-ms per saga", "peak MB"):
        table.add_column(heading, justify="right")
    for setup, observed in rounds.items():
        used = [one.throughput for one in observed]
        table.add_row(
            setup.name,
            _words(figure(one.sagas_per_s for one in observed), ",.0f"),
            "" if (share := of_pipeline(setup, rounds)) is None else _words(share, ".2f"),
            _words(figure(one.cpu_ms for one in observed), ".2f"),
            f"{figure(one.peak_kb['workers'] / 1024 for one in used).median:,.0f}",
        )
    return table


def _latencies(rounds: Rounds) -> Table:
    table = Table(title="From start to end at a rate, ms: median (range)", title_justify="left")
    table.add_column("setup")
    for heading in ("sagas/s", "p50", "p95", "p99"):
        table.add_column(heading, justify="right")
    for setup, observed in rounds.items():
        for latencies in observed[0].latencies:
            shares = [figure(one.p(s, latencies.rate) for one in observed) for s in SHARES]
            table.add_row(
                setup.name, f"{latencies.rate:g}", *(_words(one, ",.1f") for one in shares)
            )
    return table


def _words(found: Figure, form: str) -> str:
    return f"{found.median:{form}} ({found.smallest:{form}}-{found.largest:{form}})"


def _fields(effort: Effort) -> dict[str, Any]:
    return {name: getattr(effort, name) for name in type(effort).__slots__}


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _first_line(*command: str) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return ran.stdout.partition("\n")[0].strip()
