"""A sweep over many seeds in several processes, and its rates as a table."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.soundness import Tally, sweep, table

__all__ = ["main"]

_AT_ONCE = 5
"""So many seeds in one go, so that it can be told how far things are."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soundness", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="how many (100)")
    parser.add_argument(
        "--from", type=int, default=0, dest="first", metavar="N", help="the first (0)"
    )
    parser.add_argument("--states", type=int, default=15_000, metavar="N", help="a search (15000)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    asked = parser.parse_args()
    began, tally = time.monotonic(), Tally()
    for done, part in _parts(asked.first, asked.seeds, asked.states, asked.jobs):
        tally.add(part)
        print(f"\r{done} of {asked.seeds} seeds, {tally.states:,} states", end="", flush=True)
    print(f" in {time.monotonic() - began:,.0f} s, at most {asked.states:,} a search\n")
    print("\n".join([*table(tally), *tally.wrong]))
    return 1 if tally.wrong else 0


def _parts(first: int, seeds: int, states: int, jobs: int) -> Iterator[tuple[int, Tally]]:
    starts = range(first, first + seeds, _AT_ONCE)
    ranges = [range(start, min(start + _AT_ONCE, first + seeds)) for start in starts]
    with ProcessPoolExecutor(jobs, initializer=gc.disable) as pool:
        done = 0
        parts = pool.map(sweep, ranges, [states] * len(ranges))
        for seeds_of_part, part in zip(ranges, parts, strict=True):
            done += len(seeds_of_part)
            yield done, part


if __name__ == "__main__":
    raise SystemExit(main())
