"""``scripts/campaign``: what can be asked of it, and how it ends: 0 if nothing was found, else 1."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from campaign.markdown import as_markdown
from campaign.report import as_data
from campaign.run import Campaign
from campaign.schedule import TABLE_LOSS, schedule
from campaign.screen import shown

__all__ = ["main"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/campaign", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, required=True, metavar="N", help="how long there are faults")
    add("--seed", type=int, default=1, help="decides which faults, when, and what is ordered (1)")
    add("--orders-per-second", type=float, default=10, metavar="R", help="the load (10)")
    add("--report", type=Path, metavar="FILE", help="write the report there, as Markdown")
    add("--json", action="store_true", help="print the report as JSON")
    add("--no-table-loss", action="store_true", help="leave out what loses sagas from the table")
    add("--keep", action="store_true", help="keep the logs and the servers' data")
    given = parser.parse_args()
    if not 0 < given.minutes < 24 * 60:
        parser.error(f"--minutes is {given.minutes}; it is more than 0 and less than a day")
    if not 0 < given.orders_per_second <= 1_000:  # noqa: PLR2004
        parser.error(f"--orders-per-second is {given.orders_per_second}; expected 0 to 1000")
    return given


async def campaign(given: argparse.Namespace) -> int:
    seconds = 60 * given.minutes
    without = TABLE_LOSS if given.no_table_loss else frozenset()
    logs = Path(os.environ["SAGAS_STACK"]) / "logs"
    logs.mkdir(exist_ok=True)
    running = Campaign(
        seconds=seconds,
        seed=given.seed,
        rate=given.orders_per_second,
        planned=schedule(seconds, given.seed, without=without),
        folder=logs,
    )
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    async with shown(running, console):
        run = asyncio.create_task(running.run())
        for one in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(one, run.cancel)
        try:
            await run
        except asyncio.CancelledError:
            console.print("interrupted")
            return 130
    data = as_data(running, f"scripts/campaign {' '.join(sys.argv[1:])}")
    if given.report is not None:
        given.report.write_text(as_markdown(data))
    print(json.dumps(data, indent=1) if given.json else as_markdown(data))
    return 1 if running.findings else 0


def main() -> None:
    # A server that is away is part of the plan; the clients here need not say it hundreds of times.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.exit(asyncio.run(campaign(options())))
