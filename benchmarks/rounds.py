"""Rounds: every setup once, in turn, each on fresh topics and keys, with processes of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.driver import Driver, driving
from benchmarks.figures import Observed
from benchmarks.live import fill
from benchmarks.setup import Servers, Setup
from benchmarks.systems import running

__all__ = ["FULL", "QUICK", "SMOKE", "Effort", "rounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long is measured, and how often."""

    name: str
    rounds: int
    warm_up_s: float
    seconds: float
    rates: tuple[float, ...]
    rate_s: float
    under_way: int
    waiting: int
    in_flight: int
    embedded_s: float


FULL = Effort(
    name="full",
    rounds=5,
    warm_up_s=3,
    seconds=10,
    rates=(20, 100, 500, 1000),
    rate_s=8,
    under_way=500,
    waiting=2_000,
    in_flight=10_000,
    embedded_s=8,
)
QUICK = Effort(
    name="quick",
    rounds=3,
    warm_up_s=0.5,
    seconds=2,
    rates=(20, 100),
    rate_s=1.5,
    under_way=300,
    waiting=500,
    in_flight=0,
    embedded_s=2,
)
SMOKE = Effort(
    name="smoke",
    rounds=1,
    warm_up_s=0.1,
    seconds=0.5,
    rates=(20, 100),
    rate_s=0.5,
    under_way=50,
    waiting=30,
    in_flight=0,
    embedded_s=0.3,
)


async def rounds(
    plan: Sequence[tuple[Setup, Sequence[float]]],
    effort: Effort,
    servers: Servers,
    directory: Path,
    say: Callable[[str], None],
) -> dict[Setup, list[Observed]]:
    """Measure each setup of the plan, with the rates named beside it, in every round.

    Each round begins with another setup, so that none is always the first.
    """
    found: dict[Setup, list[Observed]] = {setup: [] for setup, _ in plan}
    for number in range(effort.rounds):
        first = number % len(plan)
        for setup, rates in (*plan[first:], *plan[:first]):
            observed = await _one(setup, rates, effort, servers, directory)
            found[setup].append(observed)
            say(
                f"round {number + 1}: {setup.name}: {observed.sagas_per_s:,.0f} sagas/s, "
                f"{observed.cpu_ms:.2f} CPU-ms per saga"
            )
    return found


async def _one(
    setup: Setup, rates: Sequence[float], effort: Effort, servers: Servers, directory: Path
) -> Observed:
    async with running(setup, servers, directory) as system:
        await fill(system)
        async with driving(system) as driver:
            system.start()
            await driver.ready()
            return await _observed(driver, rates, effort)


async def _observed(driver: Driver, rates: Sequence[float], effort: Effort) -> Observed:
    throughput = await driver.at_full_speed(
        under_way=effort.under_way, warm_up_s=effort.warm_up_s, seconds=effort.seconds
    )
    latencies = [await driver.at_rate(rate, seconds=effort.rate_s) for rate in rates]
    return Observed(throughput, latencies)
