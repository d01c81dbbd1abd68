"""After the faults: people resume and replay what waits for them, until nothing is left to be done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from campaign import topics
from campaign.checks import journals
from campaign.commands import CommandFailed
from campaign.poison import KEY
from campaign.waiting import until
from campaign.world import World

__all__ = ["come_to_rest"]

_ROUND_S = 2.0


async def come_to_rest(
    world: World, ordering: asyncio.Task[None], *, timeout_s: float
) -> list[str]:
    """Heal, drain, and wait until all is quiet; what has not come to rest in time, in words."""
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*(worker.runs() for worker in world.workers.values()))
            while not await _nothing_left(world):
                await _something_new(world)
            await ordering
            await until("quiet", lambda: _is_quiet(world), timeout_s=timeout_s)
    except TimeoutError:
        ordering.cancel()
        await asyncio.gather(ordering, return_exceptions=True)
        return [f"Not at rest after {timeout_s:g} s: {'; '.join(_left(world))}."]
    return []


async def _nothing_left(world: World) -> bool:
    """One round of those on call; whether there was nothing to do and everything has ended."""
    operators = world.operators
    with contextlib.suppress(CommandFailed):  # a server is away, or slow: they try again
        resumed = await operators.resume()
        replayed = await operators.resolve(world.poison.keys(), KEY)
        return not (resumed or replayed or list(_left(world)))
    return False


async def _something_new(world: World) -> None:
    world.tail.changed.clear()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ROUND_S):
            await world.tail.changed.wait()


async def _is_quiet(world: World) -> bool:
    """Nothing is unread, unpublished, or open; observers are told a little later than we are."""
    lags = await topics.lags(world.servers.kafka)
    return not lags and not await journals.outboxes(world.databases)


def _left(world: World) -> Iterator[str]:
    customers, tail = world.customers, world.tail
    if waiting := customers.placing.keys() - customers.accepted.keys():
        yield f"{len(waiting)} orders were never accepted"
    if going := customers.placing.keys() - tail.ended.keys():
        yield f"{len(going)} sagas have not ended ({', '.join(sorted(going)[:10])})"
    if tail.parked:
        yield f"{len(tail.parked)} are parked"
