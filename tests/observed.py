"""What the topics hold of a day's sagas, by the test environment, and ways in which an observer reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sagas import SagaStatus
from sagas.core.errors import ContractViolation
from sagas.monitoring.observer import SagaObserver
from sagas.monitoring.policy import Objective, Policy
from sagas.ports import Record, TopicPartition
from sagas.testing import SagaTestEnvironment
from sagas.wire.topics import Topics
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced

__all__ = ["COUNTED", "Day", "Reading", "a_day", "counted", "observer_of", "policy_of"]

QUICK = Objective(saga="order-fulfilment", within="3s", over="24h", ratio=0.9)
SHIPPED = Objective(saga="order-fulfilment", step="create_shipment", within="2s", over="24h")
COUNTED = ("sagas", "rates", "latencies", "objectives")
"""The views that the same history makes the same, whatever the order in which it is read."""


@dataclass(frozen=True, slots=True)
class Day:
    """The logs of the partitions, where each saga stands by the saga table, and when the day is over."""

    logs: Mapping[TopicPartition, Sequence[Record]]
    statuses: Mapping[str, SagaStatus]
    end_ms: int


async def a_day() -> Day:
    """Sagas that complete, compensate, fail, are parked, and run."""
    shop = Shop(declined=frozenset({"declined", "declined-late"}))
    statuses = {}
    async with SagaTestEnvironment(shop.services) as env:
        env.delay(OrderFulfilment.reserve_stock, 0.7)
        env.delay(OrderFulfilment.authorize_payment, 1.1)
        for order_id in ("one", "two", "declined", "three"):
            await env.start(OrderPlaced(order_id=order_id))
            await env.advance(1.3)
        await env.advance(90)
        env.delay(OrderFulfilment.reserve_stock, 7)
        env.fail(OrderFulfilment.create_shipment, error=ContractViolation("no parcel fits"))
        for order_id in ("parked", "declined-late"):
            await env.start(OrderPlaced(order_id=order_id))
            await env.advance(10)
        env.fail(OrderFulfilment.reserve_stock, error=ContractViolation("no such article"))
        await env.start(OrderPlaced(order_id="failed"))
        await env.advance(30)
        env.delay(OrderFulfilment.reserve_stock, 500)
        await env.start(OrderPlaced(order_id="running"))
        await env.advance(1)
        for order_id in ("one", "two", "declined", "three", "parked", "declined-late", "failed"):
            statuses[order_id] = env.status(order_id)
        statuses["running"] = env.status("running")
        for order_id in ("parked", "running"):
            env.expect_unfinished(order_id)
        logs: dict[TopicPartition, list[Record]] = {}
        for topic in tuple(env._broker.topics):
            for record in env._broker.records(topic):
                logs.setdefault(TopicPartition(topic, record.partition), []).append(record)
        end_ms = env.clock.now_ms()
    return Day(logs, {saga_id: status for saga_id, status in statuses.items() if status}, end_ms)


def policy_of(*, settle_ms: int = 60_000, stuck_after_ms: int = 60_000) -> Policy:
    """Windows of ten seconds, and two objectives."""
    return Policy(
        window_ms=10_000,
        settle_ms=settle_ms,
        stuck_after_ms=stuck_after_ms,
        objectives=(QUICK, SHIPPED),
    )


def observer_of(policy: Policy | None = None) -> SagaObserver:
    """An observer of the sample saga."""
    return SagaObserver([OrderFulfilment], Topics("test"), policy or policy_of())


class Reading:
    """An observer's way through the logs. What is read again comes at the end of its partition, as if it had
    been published twice.
    """

    def __init__(self, day: Day, observer: SagaObserver) -> None:
        self.observer = observer
        self._day = day
        self._now_ms = day.end_ms
        self._logs = {
            partition: list(log)
            for partition, log in day.logs.items()
            if partition.topic in observer.topics
        }
        self.partitions = sorted(self._logs)
        self._next: dict[TopicPartition, int] = {}
        observer.follow(self.partitions, self._now_ms)
        self._measure(self._now_ms)

    def _measure(self, now_ms: int) -> None:
        self.observer.measure({one: len(log) for one, log in self._logs.items()}, now_ms)

    def step(self, number: int) -> bool:
        """Read the next record of the partition of that number; False if there is none."""
        partition = self.partitions[number % len(self.partitions)]
        offset = self._next.get(partition, self.observer.position(partition) or 0)
        if offset >= len(self._logs[partition]):
            return False
        self._next[partition] = offset + 1
        self.observer.observe(self._logs[partition][offset], self._now_ms)
        return True

    def publish_again(self, number: int, offset: int) -> None:
        """A record of a partition once more, with the same bytes and a new offset."""
        log = self._logs[self.partitions[number % len(self.partitions)]]
        log.append(log[offset % len(log)]._replace(offset=len(log)))

    def deliver_again(self, number: int) -> None:
        """The record that was read last, with its offset."""
        partition = self.partitions[number % len(self.partitions)]
        if self._next.get(partition):
            self.observer.observe(self._logs[partition][self._next[partition] - 1], self._now_ms)

    def look(self, *, later_ms: int = 0) -> None:
        """The timer of an observer."""
        self._measure(self._now_ms + later_ms)
        self.observer.look(self._now_ms + later_ms)

    def to_end(self, order: Iterable[int] = ()) -> None:
        """Read all: in that order as far as it goes, then partition by partition."""
        for number in order:
            self.step(number)
        for number in range(len(self.partitions)):
            while self.step(number):
                pass


def counted(observer: SagaObserver) -> dict[str, object]:
    """The views that are counts."""
    views = observer.views(windows=1440)
    return {name: views[name] for name in COUNTED}
