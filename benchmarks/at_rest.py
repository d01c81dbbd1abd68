"""What waits and what has ended costs: bytes in Redis, memory of workers, and the start of one.

Orders go as far as their payment, because shipping is not there. Then it is started.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from redis.asyncio import Redis

from benchmarks import usage
from benchmarks.driver import driving, tailing
from benchmarks.pipeline.reactions import SERVICES
from benchmarks.setup import Servers, Setup
from benchmarks.systems import Running, running

__all__ = ["AtRest", "at_rest", "memory_in_flight"]

_LATE = "shipping"
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class AtRest:
    """Bytes per instance, the seconds from the start of a process to its first event, and KiB of the
    other four workers."""

    bytes_live: float
    bytes_ended: float
    start_s: float
    workers_kb: int


async def at_rest(setup: Setup, servers: Servers, directory: Path, *, waiting: int) -> AtRest:
    """Let so many orders wait for shipping, start it, and let them end."""
    async with (
        running(setup, servers, directory) as system,
        tailing(system, ("payments", _LATE)) as consumer,
        driving(system) as driver,
    ):
        system.start([service for service in SERVICES if service != _LATE])
        # A tenth comes before the measurement: connections and scripts cost Redis half a megabyte once.
        first = max(1, waiting // 10)
        await driver.place(first)
        await _seen(system, consumer, first, "payments.")
        few = await _bytes(servers)
        await driver.place(waiting)
        await _seen(system, consumer, waiting, "payments.")
        live = (await _bytes(servers) - few) / waiting
        workers_kb = usage.resident_kb(system.pids)
        started = time.perf_counter()
        system.start([_LATE])
        await _seen(system, consumer, 1, f"{_LATE}.")
        start_s = time.perf_counter() - started
        await driver.finished(_TIMEOUT_S)
        ended = await _settled(servers)
    empty = few - first * live
    return AtRest(live, (ended - empty) / (first + waiting), start_s, workers_kb)


async def memory_in_flight(
    setup: Setup, servers: Servers, directory: Path, *, under_way: int
) -> int:
    """The workers' peak of resident memory, in KiB, with so many orders under way."""
    async with running(setup, servers, directory) as system, driving(system) as driver:
        system.start()
        await driver.ready()
        throughput = await driver.at_full_speed(under_way=under_way, warm_up_s=5, seconds=5)
    return throughput.peak_kb["workers"]


async def _seen(system: Running, consumer: AIOKafkaConsumer, count: int, prefix: str) -> None:
    """Wait for so many events of a service."""
    give_up = time.perf_counter() + _TIMEOUT_S
    while count > 0:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                types = [value for name, value in record.headers if name in {"type", "ce_type"}]
                count -= any(type_.startswith(prefix.encode()) for type_ in types)
        system.check()
        if time.perf_counter() > give_up:
            raise TimeoutError(f"{system.setup.name}: {count} events {prefix}* are missing")


async def _settled(servers: Servers) -> int:
    """What Redis keeps once it has got no less for a second: after an end its payloads are dropped."""
    least, since = await _bytes(servers), time.perf_counter()
    while time.perf_counter() - since < 1:
        await asyncio.sleep(0.1)
        now = await _bytes(servers)
        if now < least:
            least, since = now, time.perf_counter()
    return least


async def _bytes(servers: Servers) -> int:
    """What Redis keeps, without the buffers of its clients and of its file."""
    async with Redis.from_url(servers.redis) as redis:
        info = await redis.info("memory")
    return int(info["used_memory"] - info["mem_clients_normal"] - info["mem_aof_buffer"])
