"""The course of a campaign: start, faults under load, healing, rest, judgement, stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from campaign.checks.all import Judgement, judge
from campaign.checks.processes import findings as processes_findings
from campaign.faults import FAULTS
from campaign.healing import come_to_rest
from campaign.opening import opened
from campaign.schedule import Inflicted, Kind, Planned
from campaign.world import World

__all__ = ["Campaign"]

_FAULT_S = 360
_REST_S = 420


@dataclass(slots=True, kw_only=True)
class Campaign:
    """One run. All but ``run`` is there to be looked at, also while it goes on."""

    seconds: float
    rate: float
    seed: int
    planned: Sequence[Planned]
    folder: Path
    world: World | None = None
    phase: str = "starting"
    started_s: float = field(default_factory=time.monotonic)
    under_way: list[Kind] = field(default_factory=list)
    faults: list[Inflicted] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    rest_s: float = 0.0
    judgement: Judgement = field(default_factory=Judgement)

    @property
    def elapsed_s(self) -> float:
        """Since the first order, or the start."""
        return time.monotonic() - self.started_s

    async def run(self) -> None:
        """All of it. What is wrong with the system is in ``findings``; an exception is our own."""
        async with opened(self.folder, rate=self.rate, seed=self.seed) as world:
            self.world = world
            await asyncio.gather(*(worker.start() for worker in world.base()))
            enough = asyncio.Event()
            ordering = asyncio.create_task(world.customers.order_until(enough))
            self.phase, self.started_s = "faults", time.monotonic()
            try:
                await self._inflict_all(world)
            finally:
                enough.set()
            self.phase, began_s = "healing", self.elapsed_s
            self.findings += await come_to_rest(world, ordering, timeout_s=_REST_S)
            self.rest_s = self.elapsed_s - began_s
            self.phase = "judging"
            self.judgement = await judge(world, {one.kind for one in self.planned})
            self.findings += self.judgement.findings
            await asyncio.gather(*(worker.stop() for worker in world.workers.values()))
            self.findings += processes_findings(world)
            self.phase = "done"

    async def _inflict_all(self, world: World) -> None:
        """Each fault at its time, beside those that take longer; then the rest of the time.

        On a slow machine one may take longer than it is to the next of its kind, which is left out
        then: the two would wait for the same workers.
        """
        async with asyncio.TaskGroup() as group:
            for planned in self.planned:
                await asyncio.sleep(planned.at_s - self.elapsed_s)
                if planned.kind not in self.under_way:
                    group.create_task(self._inflict(world, planned))
            await asyncio.sleep(self.seconds - self.elapsed_s)

    async def _inflict(self, world: World, planned: Planned) -> None:
        at_s, kind = self.elapsed_s, planned.kind
        self.under_way.append(kind)
        try:
            async with asyncio.timeout(_FAULT_S):
                detail = await FAULTS[kind](world, Random(planned.seed))  # noqa: S311 - repeatable
        except Exception as error:  # noqa: BLE001 - the others go on; this one is a finding
            detail = f"{type(error).__name__}: {error}"
            self.findings.append(f"The fault at {at_s:.0f} s ({kind}) did not end well: {detail}.")
        finally:
            self.under_way.remove(kind)
        self.faults.append(Inflicted(kind, at_s, self.elapsed_s - at_s, detail))
