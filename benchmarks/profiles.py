"""Where the time of a worker goes: all five services in one process under cProfile, at full speed.

Times are CPU time, which others on the machine do not change. A profiled process is about three times as
slow: counts hold, shares roughly, times do not.
"""

from __future__ import annotations

import pstats
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from benchmarks.driver import driving
from benchmarks.setup import Servers, Setup
from benchmarks.systems import ROOT, running

__all__ = ["profile"]

_SHOWN = 40
_RARE = 0.01
_COUNTED = {
    "records handed to the filter": ("runtime/worker.py", "_accept"),
    "messages handled": ("runtime/worker.py", "_spawn"),
    "rows decoded": ("wire/stored.py", "decode_position"),
    "rows encoded to be stored": ("wire/stored.py", "encode_position"),
    "Redis calls": ("redis/batches.py", "put"),
    "Redis pipelines": ("redis/batches.py", "_landed"),
    "Kafka produces": ("producer/producer.py", "_serialize"),
    "batches produced": ("producer/message_accumulator.py", "done"),
    "fetch requests answered": ("consumer/fetcher.py", "__init__"),
    "timers made": ("base_events.py", "call_at"),
    "turns of the event loop": ("base_events.py", "_run_once"),
    "callbacks of the event loop": ("asyncio/events.py", "_run"),
}
"""Plain functions: of a coroutine cProfile counts every time that it goes on."""
_LAYERS = (
    "sagas/core",
    "sagas/wire",
    "sagas/runtime",
    "sagas/adapters/kafka",
    "sagas/adapters/redis",
    "sagas/",
    "benchmarks/",
    "aiokafka",
    "redis",
    "pydantic",
    "structlog",
    "asyncio",
)

Stats = Mapping[tuple[str, int, str], tuple[int, int, float, float, object]]


async def profile(servers: Servers, directory: Path, console: Console) -> None:
    """Profile for some seconds and print counts per saga, shares by layer, and the dearest functions."""
    file = directory / "worker.prof"
    async with running(Setup(one_process=True), servers, directory) as system:
        async with driving(system) as driver:
            before = await _commands(servers)
            system.start(profile=file)
            await driver.ready()
            done = await driver.at_full_speed(under_way=300, warm_up_s=0, seconds=15)
            sagas = driver.started
            commands = await _commands(servers) - before
        system.end()
    console.print(f"{done.sagas / done.seconds:,.0f} sagas/s under the profiler")
    stats: Stats = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
    console.print(
        _redis(commands, sagas),
        _counts(stats, sagas),
        _layers(stats, sagas),
        _functions(stats, sagas),
    )


async def _commands(servers: Servers) -> Counter[str]:
    """How often Redis has run each command, within scripts or not."""
    async with Redis.from_url(servers.redis) as redis:
        stats = await redis.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()})


def _redis(commands: Counter[str], sagas: int) -> Table:
    table = Table(title="Redis commands per saga, those within scripts too", title_justify="left")
    table.add_column("command")
    table.add_column("count", justify="right")
    for name, calls in commands.most_common():
        if calls / sagas >= _RARE:
            table.add_row(name, f"{calls / sagas:.2f}")
    return table


def _counts(stats: Stats, sagas: int) -> Table:
    table = Table(title="Per saga", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    for name, (file, function) in _COUNTED.items():
        calls = sum(
            entry[0]
            for (path, _, called), entry in stats.items()
            if path.endswith(file) and called == function
        )
        table.add_row(name, f"{calls / sagas:.2f}")
    calls = sum(entry[1] for entry in stats.values())
    table.add_row("function calls", f"{calls / sagas:,.0f}")
    return table


def _layers(stats: Stats, sagas: int) -> Table:
    """Own time by layer; a built-in counts for whoever calls it most."""
    spent: dict[str, float] = {}
    for (path, _, _name), (_, _, own_s, _, callers) in stats.items():
        assert isinstance(callers, dict)
        if path == "~" and callers:
            for (caller, _, _), numbers in callers.items():
                layer = _layer(caller)
                spent[layer] = spent.get(layer, 0.0) + numbers[2]
        else:
            layer = _layer(path)
            spent[layer] = spent.get(layer, 0.0) + own_s
    total = sum(spent.values())
    table = Table(
        title="Own time by layer, built-ins counted for their callers", title_justify="left"
    )
    for heading in ("layer", "share", "us per saga"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for layer, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        table.add_row(layer, f"{seconds / total:.1%}", f"{seconds / sagas * 1e6:,.0f}")
    return table


def _layer(path: str) -> str:
    inside = path.removeprefix(f"{ROOT}/")
    return next((layer for layer in _LAYERS if f"{layer}" in inside), "Python and others")


def _functions(stats: Stats, sagas: int) -> Table:
    table = Table(title="The dearest functions by own time", title_justify="left")
    for heading in ("us per saga", "calls per saga", "function"):
        table.add_column(heading, justify="left" if heading == "function" else "right")
    dearest = sorted(stats.items(), key=lambda item: -item[1][2])
    for (path, line, name), (_, calls, own_s, _, _) in dearest[:_SHOWN]:
        short = "/".join(path.split("/")[-3:])
        table.add_row(
            f"{own_s / sagas * 1e6:,.1f}", f"{calls / sagas:.2f}", f"{short}:{line} {name}"
        )
    return table
