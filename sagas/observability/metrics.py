"""What is measured: a closed set of names that dashboards and alerts can rely on.

Owns names, labels, bounds of buckets and what each means; knows no library. ``docs/reference/metrics.md``
says the same for people; a test keeps code, set, document, alert rules and dashboard together. No label
ever holds a saga id, a tenant, or anything else of which there is no end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["METRICS", "Kind", "Metric", "MetricName"]


class Kind(StrEnum):
    """What Prometheus calls the type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class MetricName(StrEnum):
    """The name of a metric, as it is scraped."""

    STARTED = "sagas_started_total"
    TURNED_BACK = "sagas_turned_back_total"
    PARKED = "sagas_parked_total"
    ENDED = "sagas_ended_total"
    DURATION = "sagas_duration_seconds"
    UNFINISHED = "sagas_unfinished"
    OLDEST_UNFINISHED = "sagas_oldest_unfinished_seconds"

    STEP_OUTCOMES = "sagas_step_outcomes_total"
    STEP_DURATION = "sagas_step_duration_seconds"
    COMPENSATIONS = "sagas_compensations_total"
    ATTEMPTS = "sagas_attempts_total"
    ATTEMPT_DURATION = "sagas_attempt_duration_seconds"
    RETRIES_SCHEDULED = "sagas_retries_scheduled_total"

    MESSAGE_DELAY = "sagas_message_delay_seconds"
    MESSAGES_DROPPED = "sagas_messages_dropped_total"
    DEAD_LETTERS = "sagas_dead_letters_total"
    CONFLICTS = "sagas_conflicts_total"
    IN_FLIGHT = "sagas_messages_in_flight"
    CONSUMER_LAG = "sagas_consumer_lag_records"

    TIMER_LATENESS = "sagas_timer_lateness_seconds"
    TIMER_DUTY = "sagas_timer_duty"
    WORKER_RUNNING = "sagas_worker_running"
    TABLE_CALLS = "sagas_table_call_duration_seconds"
    BROKER_CALLS = "sagas_broker_call_duration_seconds"


class Metric(NamedTuple):
    """One metric; ``buckets`` are the upper bounds of a histogram, in seconds."""

    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()


_MS, _H = 0.001, 3600.0
_CALL = tuple(n * _MS for n in (0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000))
_STEP = (
    *(n * _MS for n in (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000)),
    *(2.5, 5.0, 10.0, 30.0, 60.0),
)
_SAGA = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 0.5 * _H, _H, 6 * _H, 24 * _H, 168 * _H)
_DELAY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 0.5 * _H)
_LATE = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 0.5 * _H)

_OF_SAGA = ("service", "saga")
_OF_STEP = (*_OF_SAGA, "step")
_OF_ACTION = (*_OF_STEP, "direction")

METRICS: Mapping[MetricName, Metric] = MappingProxyType(
    {
        MetricName.STARTED: Metric(
            Kind.COUNTER, _OF_SAGA, "Instances begun, by the service that stored them first."
        ),
        MetricName.TURNED_BACK: Metric(
            Kind.COUNTER, (*_OF_SAGA, "reason"), "Instances that began to compensate."
        ),
        MetricName.PARKED: Metric(
            Kind.COUNTER, _OF_STEP, "Parkings: an operator has to look at each."
        ),
        MetricName.ENDED: Metric(Kind.COUNTER, (*_OF_SAGA, "status"), "Instances that ended."),
        MetricName.DURATION: Metric(
            Kind.HISTOGRAM,
            (*_OF_SAGA, "status"),
            "From the start of an instance to its end.",
            _SAGA,
        ),
        MetricName.UNFINISHED: Metric(
            Kind.GAUGE,
            ("saga", "status"),
            "Instances that have not ended, in the saga table; told by the worker on timer duty.",
        ),
        MetricName.OLDEST_UNFINISHED: Metric(
            Kind.GAUGE,
            ("saga",),
            "Age of the oldest instance that has not ended, since its start, among the 64 whose last change "
            "is longest ago; told by the worker on timer duty.",
        ),
        MetricName.STEP_OUTCOMES: Metric(
            Kind.COUNTER, (*_OF_STEP, "outcome"), "Outcomes of forward steps."
        ),
        MetricName.STEP_DURATION: Metric(
            Kind.HISTOGRAM,
            _OF_ACTION,
            "From the beginning of an action to its stored outcome, attempts and pauses in this process "
            "included.",
            _STEP,
        ),
        MetricName.COMPENSATIONS: Metric(
            Kind.COUNTER, (*_OF_STEP, "outcome"), "Compensations that ended."
        ),
        MetricName.ATTEMPTS: Metric(
            Kind.COUNTER, (*_OF_ACTION, "result"), "Calls of handlers of steps."
        ),
        MetricName.ATTEMPT_DURATION: Metric(
            Kind.HISTOGRAM, _OF_ACTION, "How long one call of a handler took.", _STEP
        ),
        MetricName.RETRIES_SCHEDULED: Metric(
            Kind.COUNTER, _OF_ACTION, "Attempts that wait in a retry topic."
        ),
        MetricName.MESSAGE_DELAY: Metric(
            Kind.HISTOGRAM,
            ("service",),
            "From a message's publication to the beginning of its handling.",
            _DELAY,
        ),
        MetricName.MESSAGES_DROPPED: Metric(
            Kind.COUNTER, ("service",), "Records that concern nothing of the service: normal."
        ),
        MetricName.DEAD_LETTERS: Metric(
            Kind.COUNTER,
            ("service", "error"),
            "Records that became dead letters, by kind of error.",
        ),
        MetricName.CONFLICTS: Metric(
            Kind.COUNTER, _OF_SAGA, "Writes that another worker had forestalled."
        ),
        MetricName.IN_FLIGHT: Metric(
            Kind.GAUGE, ("service",), "Messages begun and not finished, in this process."
        ),
        MetricName.CONSUMER_LAG: Metric(
            Kind.GAUGE,
            ("service", "topic", "partition"),
            "Records of a partition of this worker's that are not finished.",
        ),
        MetricName.TIMER_LATENESS: Metric(
            Kind.HISTOGRAM, ("saga",), "How long after it was due a timer was published.", _LATE
        ),
        MetricName.TIMER_DUTY: Metric(
            Kind.GAUGE,
            ("service", "saga"),
            "1 where this worker publishes the saga's timers, else 0.",
        ),
        MetricName.WORKER_RUNNING: Metric(
            Kind.GAUGE,
            ("service",),
            "1 while the service's worker is in its group and turns, else 0.",
        ),
        MetricName.TABLE_CALLS: Metric(
            Kind.HISTOGRAM, ("call", "result"), "Calls of the saga table.", _CALL
        ),
        MetricName.BROKER_CALLS: Metric(
            Kind.HISTOGRAM, ("call", "result"), "Calls of the broker.", _CALL
        ),
    }
)
