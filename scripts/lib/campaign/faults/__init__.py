"""The faults, each a coroutine from the world and a seeded chance to what was done, in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from random import Random

from campaign.faults import messages, processes, servers
from campaign.schedule import Kind
from campaign.world import World

__all__ = ["FAULTS"]

FAULTS: Mapping[Kind, Callable[[World, Random], Awaitable[str]]] = {
    Kind.KILL: processes.kill,
    Kind.PAUSE: processes.pause,
    Kind.ROLL: processes.roll,
    Kind.JOIN: processes.join,
    Kind.OUTAGE: processes.outage,
    Kind.KAFKA_RESTART: servers.restart("kafka"),
    Kind.KAFKA_CRASH: servers.crash("kafka"),
    Kind.REDIS_RESTART: servers.restart("redis"),
    Kind.REDIS_CRASH: servers.crash("redis"),
    Kind.REDIS_LOSS: servers.lose_the_last_second,
    Kind.REDIS_FLUSH: servers.flush,
    Kind.POSTGRESQL_RESTART: servers.restart("postgresql"),
    Kind.POSTGRESQL_CRASH: servers.crash("postgresql"),
    Kind.POSTGRESQL_CUT: servers.cut,
    Kind.SLOW: messages.slow,
    Kind.POISON: messages.poisoned,
    Kind.DUPLICATES: messages.duplicates,
}
