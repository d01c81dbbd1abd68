"""Platforms that somebody watches: puts metrics and traces around what services run on.

Owns only which parts of a platform are told of whom. The libraries that do it are extras: what needs one is
handed in.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sagas.observability.guarded import Guarded
from sagas.observability.metrics import MetricName
from sagas.ports.telemetry import Telemetry, together
from sagas.runtime.assembly import Platform
from sagas.runtime.timed import timed_broker, timed_table

if TYPE_CHECKING:
    from sagas.observability.prometheus import Metrics

__all__ = ["measured", "watched"]


def watched(platform: Platform, telemetry: Telemetry) -> Platform:
    """The same platform, also told to whom it may concern; what that one raises is told, and does no harm."""
    before = () if platform.telemetry is None else (platform.telemetry,)
    return replace(platform, telemetry=together((*before, Guarded(telemetry))))


def measured(platform: Platform, metrics: Metrics) -> Platform:
    """The same platform with metrics: messages, gauges, and the calls of table and broker."""
    return replace(
        watched(platform, metrics),
        gauges=metrics,
        table=timed_table(
            platform.table, partial(metrics.called, MetricName.TABLE_CALLS), time.perf_counter
        ),
        broker=timed_broker(
            platform.broker, partial(metrics.called, MetricName.BROKER_CALLS), time.perf_counter
        ),
    )
