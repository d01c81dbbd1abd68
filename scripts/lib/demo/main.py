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
    add = parser.add_argument
    add("--orders", type=int, default=200, metavar="N", help="how many (200)")
    add("--declined", type=float, default=0.1, metavar="SHARE", help="of the payments (0.1)")
    add("--out-of-stock", type=float, default=0.05, metavar="SHARE", help="of the orders (0.05)")
    add("--seed", type=int, default=1, help="decides who and what (1)")
    add("--timeout", type=float, default=300, metavar="S", help="give up after that time (300)")
    add("--real", action="store_true", help="on Kafka, Redis and PostgreSQL")
    given = parser.parse_args()
    if given.orders < 1:
        parser.error(f"--orders is {given.orders}; at least 1 is needed")
    if not given.timeout > 0:
        parser.error(f"--timeout is {given.timeout}; it is more than 0 seconds")
    shares = (given.declined, given.out_of_stock)
    if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1:
        parser.error("--declined and --out-of-stock are shares of all: 0 to 1, also together")
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
