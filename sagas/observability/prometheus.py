"""Metrics for Prometheus: counts what the runtime tells, and gives it out as a page.

Owns one registry for each process, and never a label without a bound. The only module that knows
``prometheus_client``, which the extra ``metrics`` installs.
"""

from __future__ import annotations

import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from sagas.core.definition import SAGA_CANCELLED, SAGA_EXPIRED, STEP_TIMED_OUT, Direction, Role
from sagas.core.enabled import Action
from sagas.core.errors import StepAbandoned
from sagas.core.instance import Fact, SagaStatus
from sagas.core.position import Position
from sagas.observability.metrics import METRICS, Kind, MetricName
from sagas.ports import Superseded, Tombstone, TopicPartition
from sagas.ports.records import OutgoingRecord
from sagas.ports.telemetry import MessageInHand, Watch
from sagas.wire.envelope import Envelope, Trail

__all__ = ["CONTENT_TYPE", "Metrics", "WatchedWorker"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_FORWARD = {
    Role.DONE: "done",
    Role.REFUSED: "refused",
    Role.OTHERWISE: "otherwise",
    Role.FAILED: "failed",
}
_UNDO = {Role.UNDONE: "undone", Role.UNDO_FAILED: "failed"}
_REASONS = {SAGA_CANCELLED: "cancelled", SAGA_EXPIRED: "expired", STEP_TIMED_OUT: "timed_out"}

_Key = tuple[str, Direction, int]


class WatchedWorker(Protocol):
    """What is asked of a worker when the page is made."""

    @property
    def in_flight(self) -> int:
        """How many messages are begun and not finished."""

    @property
    def dropped(self) -> int:
        """How many records concerned nothing of the service."""

    def is_alive(self, *, within_ms: int) -> bool:
        """Whether it is in its group and turns."""


class Metrics:
    """Implements ``Telemetry`` and ``Gauges``. Create one for a process; ``page`` is what is scraped."""

    def __init__(
        self,
        *,
        now_ms: Callable[[], float] = lambda: time.time() * 1000,
        passed_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        # A series more for each, of which nobody makes anything.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._workers = _Workers()
        self.registry.register(self._workers)
        self._now_ms = now_ms
        self._passed_s = passed_s
        self._made = {name: _made(name, self.registry) for name in MetricName if name not in _ASKED}
        self._children: dict[tuple[str, ...], Counter | Gauge | Histogram] = {}
        self._lags: dict[str, set[tuple[str, str]]] = {}

    def page(self) -> bytes:
        """What is known now, in Prometheus's text format."""
        return generate_latest(self.registry)

    def add(self, name: MetricName, *labels: str) -> None:
        """Count one more."""
        child = self._child(name, labels)
        assert isinstance(child, Counter)  # noqa: S101 - the set of names says so
        child.inc()

    def observe(self, name: MetricName, seconds: float, *labels: str) -> None:
        """Note a duration; a clock that went back has measured nothing."""
        child = self._child(name, labels)
        assert isinstance(child, Histogram)  # noqa: S101 - the set of names says so
        child.observe(max(0.0, seconds))

    def put(self, name: MetricName, value: float, *labels: str) -> None:
        """Say how much there is."""
        child = self._child(name, labels)
        assert isinstance(child, Gauge)  # noqa: S101 - the set of names says so
        child.set(value)

    def _child(self, name: MetricName, labels: tuple[str, ...]) -> Counter | Gauge | Histogram:
        """The series of these labels; looked up here, because the library's own way takes longer."""
        key = (name, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._made[name].labels(*labels)
        return child

    def _forget(self, name: MetricName, *labels: str) -> None:
        if self._children.pop((name, *labels), None) is not None:
            self._made[name].remove(*labels)

    # --- Telemetry -----------------------------------------------------------------------------------

    def message(self, message: MessageInHand) -> Watch:
        """See ``Telemetry``."""
        delay_s = (self._now_ms() - message.published_ms) / 1000
        self.observe(MetricName.MESSAGE_DELAY, delay_s, message.service)
        return _MessageWatch(self, message, self._passed_s)

    def observing(
        self, service: str, handler: str, envelope: Envelope
    ) -> AbstractContextManager[object]:
        """See ``Telemetry``: observers are not measured."""
        return nullcontext((service, handler, envelope))

    def publishing(self, record: OutgoingRecord) -> AbstractContextManager[OutgoingRecord]:
        """See ``Telemetry``: what clients send is measured where it is published."""
        return nullcontext(record)

    def dead_lettered(self, service: str, error: Exception) -> None:
        """See ``Telemetry``."""
        self.add(MetricName.DEAD_LETTERS, service, type(error).__name__)

    def timer_published(self, saga: str, late_ms: int) -> None:
        """See ``Telemetry``."""
        self.observe(MetricName.TIMER_LATENESS, late_ms / 1000, saga)

    # --- Gauges ----------------------------------------------------------------------------------------

    def lags(self, service: str, lags: Mapping[TopicPartition, int]) -> None:
        """See ``Gauges``."""
        named = {(one.topic, str(one.partition)): lag for one, lag in lags.items()}
        for gone in self._lags.get(service, set()) - named.keys():
            self._forget(MetricName.CONSUMER_LAG, service, *gone)
        self._lags[service] = set(named)
        for labels, lag in named.items():
            self.put(MetricName.CONSUMER_LAG, lag, service, *labels)

    def duty(self, service: str, saga: str, *, on_duty: bool) -> None:
        """See ``Gauges``."""
        self.put(MetricName.TIMER_DUTY, float(on_duty), service, saga)

    def standing(self, saga: str, unfinished: Mapping[str, int], oldest_s: float) -> None:
        """See ``Gauges``."""
        for status, count in unfinished.items():
            self.put(MetricName.UNFINISHED, count, saga, status)
        self.put(MetricName.OLDEST_UNFINISHED, oldest_s, saga)

    def standing_unknown(self, saga: str) -> None:
        """See ``Gauges``."""
        for status in SagaStatus:
            self._forget(MetricName.UNFINISHED, saga, status.value)
        self._forget(MetricName.OLDEST_UNFINISHED, saga)

    # --- servers and workers -----------------------------------------------------------------------------

    def called(self, name: MetricName, call: str, seconds: float, *, failed: bool) -> None:
        """A call of the table or the broker has ended."""
        self.observe(name, seconds, call, "failed" if failed else "answered")

    def watch(
        self, service: str, worker: Callable[[], WatchedWorker | None], *, stalled_after_ms: int
    ) -> None:
        """Ask that worker, once there is one, whenever the page is made."""
        self._workers.watch(service, worker, stalled_after_ms)


_ASKED: Mapping[MetricName, Callable[[WatchedWorker, int], float]] = {
    MetricName.IN_FLIGHT: lambda worker, _: worker.in_flight,
    MetricName.MESSAGES_DROPPED: lambda worker, _: worker.dropped,
    MetricName.WORKER_RUNNING: lambda worker, within_ms: worker.is_alive(within_ms=within_ms),
}
"""What a worker is asked instead of telling it."""


class _Workers:
    """What workers know of themselves, collected when the page is made."""

    def __init__(self) -> None:
        self._watched: dict[str, tuple[Callable[[], WatchedWorker | None], int]] = {}

    def watch(
        self, service: str, worker: Callable[[], WatchedWorker | None], stalled_after_ms: int
    ) -> None:
        self._watched[service] = (worker, stalled_after_ms)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for name, ask in _ASKED.items():
            metric = METRICS[name]
            of_kind = GaugeMetricFamily if metric.kind is Kind.GAUGE else CounterMetricFamily
            family = of_kind(name.value, metric.meaning, labels=metric.labels)
            for service, (worker, within_ms) in self._watched.items():
                there = worker()
                family.add_metric([service], 0.0 if there is None else ask(there, within_ms))
            yield family


def _made(name: MetricName, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    metric = METRICS[name]
    named = (name.value, metric.meaning, metric.labels)
    if metric.kind is Kind.HISTOGRAM:
        return Histogram(*named, registry=registry, buckets=metric.buckets)
    if metric.kind is Kind.GAUGE:
        return Gauge(*named, registry=registry)
    return Counter(*named, registry=registry)


class _MessageWatch:
    """Counts what becomes of one message."""

    __slots__ = ("_begun", "_message", "_metrics", "_of_saga", "_passed_s")

    def __init__(
        self, metrics: Metrics, message: MessageInHand, passed_s: Callable[[], float]
    ) -> None:
        self._metrics = metrics
        self._message = message
        self._passed_s = passed_s
        self._of_saga = (message.service, message.definition.saga)
        self._begun: dict[_Key, float] = {}

    def belongs(self, trail: Trail) -> None:
        """Nothing is counted by trail."""

    def performing(self, action: Action, _at: Position) -> None:
        self._begun[_key(action)] = self._passed_s()

    def attempt(self, action: Action, _number: int) -> AbstractContextManager[object]:
        labels = (*self._of_saga, action.step.name, action.direction.value)
        return _Attempt(self._metrics, labels, self._passed_s)

    def postponed(self, action: Action, _attempts: int) -> None:
        labels = (*self._of_saga, action.step.name, action.direction.value)
        self._metrics.add(MetricName.RETRIES_SCHEDULED, *labels)

    def conflict(self) -> None:
        self._metrics.add(MetricName.CONFLICTS, *self._of_saga)

    def stored(
        self, before: Position | None, stored: Position, recorded: Fact | None, *, folded: bool
    ) -> None:
        if before is None:
            self._metrics.add(MetricName.STARTED, *self._of_saga)
        if folded and self._message.definition.by_name[self._message.fact.step].waits:
            self._outcome(self._message.fact)
        if recorded is not None:
            self._outcome(recorded)
            begun = self._begun.pop((recorded.step, recorded.direction, recorded.epoch), None)
            if begun is not None:
                labels = (*self._of_saga, recorded.step, recorded.direction.value)
                took_s = self._passed_s() - begun
                self._metrics.observe(MetricName.STEP_DURATION, took_s, *labels)
        self._moved(before, stored, recorded or self._message.fact)

    def _outcome(self, fact: Fact) -> None:
        """What an event says of its step. A wait's answer is recorded by whoever hears of it first."""
        of_step = (*self._of_saga, fact.step)
        if fact.role is Role.PARKED:
            self._metrics.add(MetricName.PARKED, *of_step)
        undone = _UNDO.get(fact.role)
        if undone or (fact.role is Role.PARKED and fact.direction is Direction.UNDO):
            self._metrics.add(MetricName.COMPENSATIONS, *of_step, undone or "failed")
        if (outcome := _FORWARD.get(fact.role)) is not None:
            outcome = "timed_out" if fact.type == STEP_TIMED_OUT else outcome
            self._metrics.add(MetricName.STEP_OUTCOMES, *of_step, outcome)

    def _moved(self, before: Position | None, stored: Position, fact: Fact) -> None:
        phase = SagaStatus.RUNNING if before is None else before.place.model.phase
        reached = stored.place.model.phase
        if reached is phase or phase.is_terminal:
            return
        if phase is SagaStatus.RUNNING and reached is not SagaStatus.COMPLETED:
            reason = _REASONS.get(fact.type) or _FORWARD.get(fact.role) or "undone"
            self._metrics.add(MetricName.TURNED_BACK, *self._of_saga, reason)
        if reached.is_terminal:
            labels = (*self._of_saga, reached.value)
            self._metrics.add(MetricName.ENDED, *labels)
            took_s = (fact.at_ms - stored.times[0]) / 1000
            self._metrics.observe(MetricName.DURATION, took_s, *labels)


class _Attempt:
    __slots__ = ("_begun_s", "_labels", "_metrics", "_passed_s")

    def __init__(
        self, metrics: Metrics, labels: tuple[str, ...], passed_s: Callable[[], float]
    ) -> None:
        self._metrics = metrics
        self._labels = labels
        self._passed_s = passed_s
        self._begun_s = 0.0

    def __enter__(self) -> None:
        self._begun_s = self._passed_s()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        took_s = self._passed_s() - self._begun_s
        self._metrics.observe(MetricName.ATTEMPT_DURATION, took_s, *self._labels)
        result = "returned" if kind is None else _RESULTS.get(kind, "failed")
        self._metrics.add(MetricName.ATTEMPTS, *self._labels, result)


_RESULTS: Mapping[type[BaseException], str] = {
    Tombstone: "rejected",
    Superseded: "superseded",
    StepAbandoned: "abandoned",
    CancelledError: "cancelled",
}
"""How a call may end that neither returns nor fails."""


def _key(action: Action) -> _Key:
    return action.step.name, action.direction, action.epoch
