"""Pictures of the figures for a terminal: where the CPU time goes, and how long an order takes.

Every bar is told apart by its shade, so that it reads without colours and in a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmarks.figures import Observed, figure
from benchmarks.setup import Setup

__all__ = ["PARTS", "SHARES", "cpu_plot", "latency_plot"]

PARTS = ("workers", "broker", "redis", "postgresql", "driver")
SHARES = (0.5, 0.95, 0.99)
_SHADES = "█▓▒▞░"
_WIDTH = 30

Rounds = Mapping[Setup, Sequence[Observed]]


def cpu_plot(rounds: Rounds) -> Group:
    """A bar for each setup: its CPU-ms per saga, by who spent them."""
    spent = {
        setup: [
            figure(one.throughput.cpu_ms.get(part, 0.0) for one in observed).median
            for part in PARTS
        ]
        for setup, observed in rounds.items()
    }
    longest = max(map(sum, spent.values()))
    legend = "  ".join(f"{shade} {part}" for shade, part in zip(_SHADES, PARTS, strict=True))
    table = Table.grid(padding=(0, 1))
    for setup, parts in spent.items():
        table.add_row(setup.name, _stacked(parts, longest), f"{sum(parts):.2f}")
    return _titled(f"CPU-ms per saga: {legend}", table)


def latency_plot(rounds: Rounds) -> Group:
    """A bar for each setup and rate, on a logarithmic scale: up to half of the orders, 95 and 99 %."""
    found = {
        (setup.name, latencies.rate): [
            figure(one.p(share, latencies.rate) for one in observed).median for share in SHARES
        ]
        for setup, observed in rounds.items()
        for latencies in observed[0].latencies
    }
    longest = max((ms for three in found.values() for ms in three if math.isfinite(ms)), default=1)
    table = Table.grid(padding=(0, 1))
    for (name, rate), three in found.items():
        ends = [_log(min(ms, longest)) for ms in three]
        steps = [ends[0], ends[1] - ends[0], ends[2] - ends[1]]
        words = " ".join(f"{ms:,.0f}" if math.isfinite(ms) else "never" for ms in three)
        table.add_row(f"{name} at {rate:g}/s", _stacked(steps, _log(longest), "█▒░"), words)
    return _titled("From start to end, ms on a logarithmic scale: █ p50  ▒ p95  ░ p99", table)


def _titled(title: str, table: Table) -> Group:
    """A table's own title would be wrapped to the width of its columns."""
    return Group(Text(title, style="italic"), table)


def _stacked(parts: Sequence[float], longest: float, shades: str = _SHADES) -> str:
    """Each part in its shade; rounded at its end, so that the whole is as long as it should be."""
    bar, so_far = "", 0.0
    for shade, part in zip(shades, parts, strict=True):
        so_far += part
        bar += shade * (round(so_far / longest * _WIDTH) - len(bar))
    return bar


def _log(ms: float) -> float:
    return math.log10(1 + ms)
