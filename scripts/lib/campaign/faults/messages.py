"""Faults of what is handled: slowly, twice, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from campaign import topics
from campaign.poison import poison
from campaign.waiting import Overdue, until
from campaign.world import World

__all__ = ["duplicates", "poisoned", "slow"]

_WRITTEN = {
    "orders": "orders",
    "inventory": "stock",
    "payments": "ledger",
    "shipping": "shipments",
    "notifications": "messages",
}
"""The table that the service's handlers write to."""

_HELD_S = (2.0, 8.0)
"""Less and more than the five seconds that a transaction waits for a lock."""
_CANCELLED = 2
_COPIES_MAX = 40
_STUCK_S = 8


async def slow(world: World, chance: Random) -> str:
    """Handlers wait for our lock on their table; customers call meanwhile and cancel."""
    service = chance.choice(sorted(_WRITTEN))
    held_s = chance.uniform(*_HELD_S)
    lock = text(f"LOCK TABLE {service}.{_WRITTEN[service]} IN EXCLUSIVE MODE")
    known, before = set(world.customers.accepted), world.operators.cancelled
    try:
        async with world.databases[service].begin() as connection:
            await connection.execute(lock)
            held = asyncio.create_task(asyncio.sleep(held_s))
            if service in {"inventory", "payments", "shipping"}:
                await _cancel(world, known)
            await held
    except (DBAPIError, OSError):
        return f"{service}, until PostgreSQL went away"
    cancelled = world.operators.cancelled - before
    return f"{service}, for {held_s:.1f} s or a little longer; {cancelled} sagas cancelled"


async def _cancel(world: World, known: set[str]) -> None:
    """Cancel the first that are ordered while nothing goes on."""

    async def are_there() -> bool:
        return len(world.customers.accepted.keys() - known) >= _CANCELLED

    with contextlib.suppress(Overdue):  # nobody can order: orders is in the hand of another fault
        await until("orders to cancel", are_there, timeout_s=_STUCK_S)
    new = [order_id for order_id in world.customers.accepted if order_id not in known]
    await world.operators.cancel(new[:_CANCELLED])


async def poisoned(world: World, chance: Random) -> str:
    """One record of each kind that nobody can handle."""
    async with world.servers.turns["kafka"]:
        real = chance.choice(sorted(world.customers.accepted) or ["order-000001"])
        bad = list(poison(f"poison-{chance.getrandbits(32):08x}", real))
        places = await topics.publish(world.servers.kafka, (one.draft for one in bad))
        world.poison.update(zip(places, bad, strict=True))
    return f"{len(bad)} records"


async def duplicates(world: World, chance: Random) -> str:
    """Records as they were, of sagas that run and of sagas that have ended."""
    async with world.servers.turns["kafka"]:
        recent = [one for one in world.tail.recent if one.place not in world.poison and one.id]
        chosen = chance.sample(recent, min(_COPIES_MAX, len(recent)))
        drafts = [(one.place.topic, one.key, one.value, one.headers) for one in chosen]
        await topics.publish(world.servers.kafka, drafts)
        world.duplicated.update(one.id for one in chosen)
    return f"{len(chosen)} records"
