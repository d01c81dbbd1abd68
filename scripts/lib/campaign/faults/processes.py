"""Faults of the workers. A worker is in the hand of one fault at a time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from random import Random

from campaign.records import SERVICES
from campaign.topics import members_of
from campaign.waiting import until
from campaign.workers import Worker
from campaign.world import World

__all__ = ["join", "kill", "outage", "pause", "roll"]

_REBALANCED_S = 120
_TIMED_OUT = ("sagas.StepTimedOut.v1", "sagas.SagaParked.v1")
"""Before the pivot the saga turns back, from there on it is parked."""
_TIMED_OUT_WANTED = 3
_OUTAGE_MAX_S = 50
_TOGETHER_S = (2.0, 6.0)


async def kill(world: World, chance: Random) -> str:
    """In the middle of whatever it does."""
    worker = chance.choice(world.base())
    async with worker.turn:
        await worker.kill()
        await worker.start()
    return worker.name


async def roll(world: World, _chance: Random) -> str:
    """A deployment: each worker drains, ends with 0, and is followed by another."""
    codes: list[str] = []
    for worker in world.base():
        async with worker.turn:
            codes.append(str(await worker.stop()))
            await worker.start()
    return f"exit codes {', '.join(codes)}"


async def join(world: World, chance: Random) -> str:
    """Two rebalances, one when the second worker comes and one when it goes."""
    first = world.workers[chance.choice(SERVICES)]
    async with first.turn:
        second = await _joined(world, first.service)
        await asyncio.sleep(chance.uniform(*_TOGETHER_S))
        return f"{second.name}, exit code {await second.stop()}"


async def pause(world: World, chance: Random) -> str:
    """The paused worker outlives its ownership, and goes on while another has its partitions."""
    first = world.workers[chance.choice(SERVICES)]
    async with first.turn:
        second = await _joined(world, first.service)
        first.signal(signal.SIGSTOP)
        try:
            await _members(world, first.service, 1)
            await asyncio.sleep(chance.uniform(*_TOGETHER_S))
        finally:
            first.signal(signal.SIGCONT)
        await _members(world, first.service, 2)
        code = await second.stop()
    return f"{first.name}, beside {second.name}, exit code {code}"


async def outage(world: World, chance: Random) -> str:
    """Its steps' time is up: another participant is on duty for the timers, and others decide."""
    worker = chance.choice(world.base("inventory", "payments", "shipping", "notifications"))
    async with worker.turn:
        before = _timed_out(world)
        await worker.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OUTAGE_MAX_S):
                while _timed_out(world) < before + _TIMED_OUT_WANTED:
                    world.tail.changed.clear()
                    await world.tail.changed.wait()
        await worker.start()
    return f"{worker.name}, {_timed_out(world) - before} times up"


def _timed_out(world: World) -> int:
    return sum(world.tail.types[type_] for type_ in _TIMED_OUT)


async def _joined(world: World, service: str) -> Worker:
    second = world.second(service)
    await second.start()
    await _members(world, service, 2)
    return second


async def _members(world: World, service: str, wanted: int) -> None:
    async def are_there() -> bool:
        return await members_of(world.servers.kafka, service) == wanted

    await until(f"{wanted} workers of {service}", are_there, timeout_s=_REBALANCED_S)
