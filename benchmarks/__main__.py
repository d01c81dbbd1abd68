"""``python -m benchmarks``, which ``scripts/bench`` calls once servers are there."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from rich.console import Console

from benchmarks import micro, report
from benchmarks.at_rest import at_rest, memory_in_flight
from benchmarks.figures import Figure, figure, summary
from benchmarks.plan import VARIANTS, plan, variant
from benchmarks.profiles import profile
from benchmarks.rounds import FULL, QUICK, SMOKE, Effort, rounds
from benchmarks.setup import Servers, Setup
from benchmarks.soak import soak

_DESCRIPTION = "The framework against the same saga written by hand, in alternating rounds."


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=_DESCRIPTION)
    add = parser.add_argument
    add("--quick", action="store_true", help="about two minutes instead of half an hour")
    add("--smoke", action="store_true", help="half a minute: whether it works, not how fast")
    add("--json", action="store_true", help="the last line is one JSON object")
    add("--variant", choices=sorted(VARIANTS), help="vary one thing, at full speed")
    add("--rounds", type=int, metavar="N", help="how many (5, quick 3, smoke 1)")
    add("--micro", action="store_true", help="the framework's parts, without servers")
    add("--profile", action="store_true", help="where a worker's time goes, hop by hop")
    add("--soak", type=float, metavar="S", help="one run of so long: is anything growing?")
    add("--shared", action="store_true", help="on the servers of SAGAS_KAFKA and so on")
    given = parser.parse_args()
    if given.rounds is not None and given.rounds < 1:
        parser.error(f"--rounds is {given.rounds}; at least 1 is needed")
    return given


def _effort(given: argparse.Namespace) -> Effort:
    effort = SMOKE if given.smoke else QUICK if given.quick else FULL
    return effort if given.rounds is None else replace(effort, rounds=given.rounds)


async def measure(given: argparse.Namespace, console: Console, directory: Path) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, task.cancel
    )  # workers are stopped
    effort, servers = _effort(given), Servers.from_environment()
    say = _says(console)
    if given.profile:
        await profile(servers, directory, console)
        return
    if given.soak is not None:
        await soak(servers, directory, given.soak, say)
        return
    chosen = plan(effort) if given.variant is None else variant(given.variant)
    found = await rounds(chosen, effort, servers, directory, say)
    figures = summary(found)
    if given.variant is None:
        figures |= await _beside(effort, servers, directory)
    report.show(found, figures, effort, console)
    if given.json:
        sys.stdout.write(report.as_json(found, figures, effort) + "\n")


def _says(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)


async def _beside(effort: Effort, servers: Servers, directory: Path) -> dict[str, Figure]:
    """What is measured without the pipeline beside it."""
    setup = Setup(declined=0.0)
    rests = [
        await at_rest(setup, servers, directory, waiting=effort.waiting)
        for _ in range(1 if effort.name == "smoke" else 3)
    ]
    speeds = [await asyncio.to_thread(_embedded, effort.embedded_s) for _ in range(effort.rounds)]
    figures = {
        "redis_bytes_live": figure(one.bytes_live for one in rests),
        "redis_bytes_ended": figure(one.bytes_ended for one in rests),
        "worker_start_s": figure(one.start_s for one in rests),
        "workers_at_rest_mb": figure(one.workers_kb / 1024 for one in rests),
        "embedded_sagas_per_s": figure(speeds),
    }
    if effort.in_flight:
        peak_kb = await memory_in_flight(Setup(), servers, directory, under_way=effort.in_flight)
        figures[f"workers_mb_{effort.in_flight}_in_flight"] = figure([peak_kb / 1024])
    return figures


def _embedded(seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.framework.embedded", str(seconds), "200"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    given = options()
    console = Console(stderr=given.json)
    if given.micro:
        asyncio.run(micro.show(console, as_json=given.json))
        return
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # fresh topics have no leader at first
    with TemporaryDirectory(prefix="sagas-bench-") as folder:
        try:
            uvloop.run(measure(given, console, Path(folder)))
        except (asyncio.CancelledError, KeyboardInterrupt):
            sys.exit("interrupted")


if __name__ == "__main__":
    main()
