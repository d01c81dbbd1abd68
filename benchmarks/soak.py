"""One long run of the framework at full speed: does a saga cost more, or memory grow, as time goes by?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import usage
from benchmarks.driver import driving
from benchmarks.setup import Servers, Setup
from benchmarks.systems import running

__all__ = ["soak"]

_PARTS = 10


async def soak(
    servers: Servers, directory: Path, seconds: float, say: Callable[[str], None]
) -> None:
    """Run for that long and say a line for each tenth of it."""
    async with running(Setup(), servers, directory) as system, driving(system) as driver:
        system.start()
        await driver.ready()
        for part in range(1, _PARTS + 1):
            done = await driver.at_full_speed(
                under_way=500, warm_up_s=1, seconds=seconds / _PARTS - 1
            )
            cpu_ms = sum(done.cpu_ms.values())
            workers_mb = usage.resident_kb(system.pids) / 1024
            say(
                f"part {part} of {_PARTS}: {done.sagas / done.seconds:,.0f} sagas/s, "
                f"{cpu_ms:.2f} CPU-ms per saga ({done.cpu_ms['workers']:.2f} in workers), "
                f"workers {workers_mb:.0f} MB"
            )
