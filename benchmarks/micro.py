"""The framework's parts by themselves: counted, and timed against ordinary Python in the same process."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.counts import counts
from benchmarks.figures import Figure, figure
from benchmarks.parts import Part, parts, reference

__all__ = ["show"]

_REFERENCE = Part(reference)
_ROUNDS, _CALLS = 15, 200


async def show(console: Console, *, as_json: bool) -> None:
    """Print a line for each part: what it executes, and its time as a multiple of the reference's.

    A coroutine, because the parts want a running loop.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    table = Table(title="Parts of the framework", title_justify="left")
    for heading in ("part", "instructions", "built-in calls", "us", "times the reference (range)"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    found: dict[str, Any] = {}
    for name, part in {"reference": _REFERENCE, **parts()}.items():
        counted, (own_us, ratio) = counts(part), _timed(part)
        found[name] = {**counted._asdict(), "us": own_us.as_json(), "ratio": ratio.as_json()}
        table.add_row(
            name,
            f"{counted.instructions:,}",
            f"{counted.built_in_calls:,}",
            f"{own_us.median:.1f}",
            f"{ratio.median:.3f} ({ratio.smallest:.3f}-{ratio.largest:.3f})",
        )
    console.print(table)
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")


def _timed(part: Part) -> tuple[Figure, Figure]:
    """Microseconds of one call, and as a multiple of the reference's, in alternating rounds."""
    own_us, ratio = [], []
    for _ in range(_ROUNDS):
        own, other = _seconds(part), _seconds(_REFERENCE)
        own_us.append(own * 1e6)
        ratio.append(own / other)
    return figure(own_us), figure(ratio)


def _seconds(part: Part) -> float:
    """CPU time of one call, on average."""
    part.prepare(_CALLS)
    started = time.process_time()
    for _ in range(_CALLS):
        part.run()
    return (time.process_time() - started) / _CALLS
