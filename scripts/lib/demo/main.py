"""Orders through the five services of the reference system, with the books checked at the end.

Exit status 0 only if every saga has ended and the books balance; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack

import structlog
from rich.console import Console

from demo import report
from demo.run import examples, placed_by, settled, until
from demo.screen import shown
from demo.watch import Watch
from demo.workload import workload
from demo.world import SERVICES, embedded, real
from sagas.application import run_services

__all__ = ["main"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--orders", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--declined", type=float, default=0.1, metavar="SHARE", help="0.1")
    parser.add_argument("--out-of-stock", type=float, default=0.05, metavar="SHARE", help="0.05")
    parser.add_argument("--seed", type=int, default=1, help="decides who and what (1)")
    parser.add_argument("--timeout", type=float, default=300, metavar="S", help="give up (300)")
    parser.add_argument("--real", action="store_true", help="on Kafka, Redis and PostgreSQL")
    given = parser.parse_args()
    if given.orders < 1 or min(given.declined, given.out_of_stock) < 0:
        parser.error("--orders is at least 1, and no share is negative")
    if given.declined + given.out_of_stock > 1:
        parser.error("--declined and --out-of-stock are shares of all orders: at most 1 together")
    return given


async def demo(given: argparse.Namespace, console: Console) -> int:
    work = workload(
        given.orders, declined=given.declined, short=given.out_of_stock, seed=given.seed
    )
    watch, interrupted, running = Watch(given.orders), asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    where = "Kafka, Redis and PostgreSQL" if given.real else "memory and SQLite"
    console.print(f"{given.orders} orders through five services on {where}, seed {given.seed}")
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(
            real(work, watch.service) if given.real else embedded(work)
        )
        if given.real:
            console.print(f"topics, keys and schemas: {world.platform.topics.namespace}")
        stop = asyncio.Event()
        serving = asyncio.create_task(
            run_services(
                [*SERVICES, watch.service],
                world.platform,
                stop=stop,
                resources=world.resources,
                on_running=running.set,
            )
        )
        try:
            await until(running, interrupted, serving, timeout_s=60)
            async with shown(watch, console), placed_by(world, work, watch):
                await until(watch.all_ended, interrupted, serving, timeout_s=given.timeout)
            if interrupted.is_set():
                console.print("interrupted")
                return 130
            found = report.summary(watch, work, console)
            for view in await examples(world, watch):
                report.timeline(view, console)
            found += await settled(world)
            report.books(found, console)
            return 1 if found else 0
        finally:
            stop.set()
            await serving


def main() -> None:
    given = options()
    # The framework says itself when a server is away; aiokafka would say it too, many times.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.exit(asyncio.run(demo(given, Console())))
