"""Starts orders and sees their ends, the same way for both systems: as records on the topics.

An order has ended when the customer is notified or the order is cancelled. Ends are read by tailing the
two topics, outside of any group.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks import usage
from benchmarks.orders import order
from benchmarks.systems import Running, wire_of
from sagas.wire.topics import Topics

__all__ = ["Driver", "Latencies", "Throughput", "driving", "tailing"]

_ENDS = frozenset({b"notifications.CustomerNotified.v1", b"orders.OrderCancelled.v1"})
_GRACE_S = 20.0
_READY_S = 60.0
_POLL_MS = 100


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was done at full speed, and what it cost."""

    sagas: int
    seconds: float
    cpu_ms: dict[str, float]
    peak_kb: dict[str, int]


@dataclass(frozen=True, slots=True)
class Latencies:
    """From the moment at which an order was meant to start to its end, in milliseconds, sorted.

    ``unfinished`` orders had not ended long after the last one was started: the rate is too high.
    """

    rate: float
    ms: list[float]
    unfinished: int

    def percentile(self, share: float) -> float:
        """The smallest time that this share of the orders does not exceed; unfinished ones never end."""
        index = int(share * (len(self.ms) + self.unfinished))
        return self.ms[index] if index < len(self.ms) else float("inf")


class Driver:
    """Drives one running system. Use it through ``driving``, one call at a time."""

    def __init__(
        self, system: Running, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer
    ) -> None:
        self._system = system
        self._wire = wire_of(system.setup.system, system.namespace)
        self._producer = producer
        self._consumer = consumer
        self.started = 0
        self._under_way: dict[bytes, float] = {}
        self._last_is_started = False

    async def ready(self) -> None:
        """Return once the system has ended some orders, declined ones among them."""
        for _ in range(20):
            await self._start(time.perf_counter())
        await self._drained(_READY_S)

    async def at_full_speed(
        self, *, under_way: int, warm_up_s: float, seconds: float
    ) -> Throughput:
        """Keep that many orders under way; measure from the end of the warm-up on.

        Orders that were started together end together, in waves: warm-up and measurement last at least
        until as many have ended as are under way.
        """
        groups = self._system.servers.groups(self._system.pids)
        for _ in range(under_way):
            await self._start(time.perf_counter())
        await self._replace_ended(time.perf_counter() + warm_up_s, at_least=under_way)
        used, started = usage.cpu_ms(groups), time.perf_counter()
        ended = await self._replace_ended(started + seconds, at_least=under_way)
        took, used_then = time.perf_counter() - started, usage.cpu_ms(groups)
        await self._drained(_READY_S)
        return Throughput(
            sagas=ended,
            seconds=took,
            cpu_ms={name: (used_then[name] - used[name]) / max(ended, 1) for name in groups},
            peak_kb={name: usage.peak_kb(pids) for name, pids in groups.items()},
        )

    async def at_rate(self, rate: float, *, seconds: float) -> Latencies:
        """Start orders at their times, however the system keeps up (no coordinated omission)."""
        times: list[float] = []
        self._last_is_started = False
        watching = asyncio.create_task(self._watch(times))
        first = time.perf_counter() + 0.05
        for number in range(int(rate * seconds)):
            due = first + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            await self._start(due)
        self._last_is_started = True
        await asyncio.wait({watching}, timeout=_GRACE_S)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        unfinished = len(self._under_way)
        self._under_way.clear()
        return Latencies(rate, sorted(times), unfinished)

    async def place(self, orders: int) -> None:
        """Start orders without waiting for any end; the broker has them when this returns."""
        for _ in range(orders):
            await self._start(time.perf_counter())
        await self._producer.flush()

    async def finished(self, timeout_s: float) -> None:
        """Wait for the end of all that was started. Raises TimeoutError once none ends for so long."""
        await self._drained(timeout_s)

    async def _start(self, due: float) -> None:
        setup = self._system.setup
        start = self._wire.start(
            order(self.started, payload_bytes=setup.payload_bytes, declined=setup.declined)
        )
        self.started += 1
        self._under_way[start.key] = due
        await self._producer.send(start.topic, start.value, start.key, headers=start.headers)

    async def _ended(self) -> list[tuple[float, float]]:
        """When each of the orders whose end is seen now was due, and when it was seen."""
        batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
        now, found = time.perf_counter(), []
        name = self._wire.type_header
        for records in batches.values():
            for record in records:
                type_ = next((value for key, value in record.headers if key == name), b"")
                if type_ in _ENDS and (due := self._under_way.pop(record.key, None)) is not None:
                    found.append((due, now))
        if not batches:
            self._system.check()
        return found

    async def _replace_ended(self, until: float, *, at_least: int = 0) -> int:
        """Start an order for each that ends, until then and until so many have ended; how many."""
        ended, give_up = 0, until + _READY_S
        while (now := time.perf_counter()) < until or (ended < at_least and now < give_up):
            for _ in await self._ended():
                ended += 1
                await self._start(time.perf_counter())
        return ended

    async def _watch(self, times: list[float]) -> None:
        while self._under_way or not self._last_is_started:
            times += [(seen - due) * 1000 for due, seen in await self._ended()]

    async def _drained(self, timeout_s: float) -> None:
        """Wait for all ends. Raises TimeoutError once nothing has ended for so long."""
        give_up = time.perf_counter() + timeout_s
        while self._under_way:
            if await self._ended():
                give_up = time.perf_counter() + timeout_s
            elif time.perf_counter() > give_up:
                raise TimeoutError(
                    f"{self._system.setup.name}: {len(self._under_way)} orders have not ended, and "
                    f"none has for {timeout_s:.0f} s.\n{self._system.logs()}"
                )


@asynccontextmanager
async def tailing(system: Running, services: tuple[str, ...]) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer at the end of these services' topics."""
    topics = Topics(system.namespace)
    consumer = AIOKafkaConsumer(bootstrap_servers=system.servers.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topics.events(service), number)
            for service in services
            for number in range(system.setup.partitions)
        ]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        for partition in partitions:
            await consumer.position(partition)
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def driving(system: Running) -> AsyncIterator[Driver]:
    """A driver of a system whose topics are there."""
    producer = AIOKafkaProducer(
        bootstrap_servers=system.servers.kafka,
        acks="all",
        enable_idempotence=True,
        max_batch_size=256 * 1024,
    )
    await producer.start()
    try:
        async with tailing(system, ("notifications", "orders")) as consumer:
            yield Driver(system, producer, consumer)
    finally:
        await producer.stop()
