"""Embedded mode: the five services, broker and table in the memory of one process.

``python -m benchmarks.framework.embedded SECONDS UNDER_WAY [metrics] [tracing]`` prints the sagas per second;
what is named watches, and traces go to nobody once they are encoded.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Collection, Sequence
from itertools import count

import structlog
import uvloop
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.framework.declaration import (
    CustomerNotified,
    OrderCancelled,
    OrderPlaced,
    OrderToNotification,
)
from benchmarks.framework.handlers import SERVICES
from benchmarks.orders import order
from sagas import Event, EventContext, Service
from sagas.application import Platform, client_of, embedded_platform, run_services
from sagas.cli.collecting import collect_less
from sagas.observability.prometheus import Metrics
from sagas.observability.tracing import Tracing
from sagas.telemetry import measured, watched

__all__ = ["sagas_per_s"]


class Nobody(SpanExporter):
    """Encodes spans as for a collector, and throws them away."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def _watched(platform: Platform, by: Collection[str]) -> Platform:
    if "metrics" in by:
        platform = measured(platform, Metrics())
    if "tracing" in by:
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(Nobody()))
        platform = watched(platform, Tracing(lambda _: provider))
    return platform


async def sagas_per_s(seconds: float, under_way: int, watched_by: Collection[str] = ()) -> float:
    """Keep so many orders under way for that time. Ends are seen by an observing sixth service."""
    ended = asyncio.Queue[str]()
    watch = Service("watch")

    async def see(_event: Event, context: EventContext) -> None:
        ended.put_nowait(context.saga_id)

    watch.observes(CustomerNotified, OrderCancelled)(see)
    numbers, stop, joined = count(), asyncio.Event(), asyncio.Event()
    async with embedded_platform() as bare:
        platform = _watched(bare, watched_by)
        serving = asyncio.create_task(
            run_services([*SERVICES, watch], platform, stop=stop, on_running=joined.set)
        )
        await joined.wait()
        client = client_of(platform, [OrderToNotification])

        async def start() -> None:
            placed = order(next(numbers), payload_bytes=300, declined=0.1)
            await client.start(OrderPlaced(**placed._asdict()))

        for _ in range(under_way):
            await start()
        started, seen = time.perf_counter(), 0
        while time.perf_counter() < started + seconds:
            await ended.get()
            seen += 1
            await start()
        took = time.perf_counter() - started
        stop.set()
        await serving
    return seen / took


def _measured(seconds: str, under_way: str, *by: str) -> float:
    return uvloop.run(sagas_per_s(float(seconds), int(under_way), by))


if __name__ == "__main__":
    logging.disable(logging.INFO)
    collect_less(100_000)  # as `sagas run` does
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.stdout.write(f"{_measured(*sys.argv[1:])}\n")
