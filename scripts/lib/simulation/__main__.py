"""Runs the workloads one after the other as ``sagas simulate`` does, or prints the ablations."""

from __future__ import annotations

import sys

from sagas.cli.main import main as sagas
from tests.simulation.ablations import table
from tests.simulation.workloads import WORKLOADS

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    if "--ablations" in arguments:
        lines, missed = table()
        print("\n".join(lines))
        return 1 if missed else 0
    named = [name for name in arguments if name in WORKLOADS]
    options = [argument for argument in arguments if argument not in WORKLOADS]
    worst = 0
    for name in named or WORKLOADS:
        print(f"{name}:")
        sys.argv = ["sagas", "simulate", WORKLOADS[name], *options]
        worst = max(worst, _code(sagas))
    return worst


def _code(command: object) -> int:
    try:
        ended = command()  # type: ignore[operator]
    except SystemExit as ending:
        ended = ending.code
    return ended if isinstance(ended, int) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
