"""Tracing as the standard ``OTEL_*`` variables ask for it.

Owns what is made of them: providers, one batch of spans for the process, and the exporter. The environment is
handed in by ``main``; what the SDK itself reads of it (endpoint, headers, sampler, batch sizes, limits) is
left to the SDK.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from sagas.core.errors import SettingsError
from sagas.observability.tracing import Tracing

__all__ = ["Exporting", "exporting_by"]

_STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Exporting:
    """Tracing, and the batch of spans that are on their way."""

    tracing: Tracing
    _spans: BatchSpanProcessor
    _exporter: SpanExporter
    _provider: TracerProvider

    def use_everywhere(self) -> None:
        """What other libraries trace in this process is exported as well: for a ``main``, once."""
        trace.set_tracer_provider(self._provider)

    async def stop(self, *, within_s: float = _STOP_WITHIN_S) -> None:
        """Export what is left, and wait no longer than that: a collector that is away keeps nobody.

        The SDK itself would wait for half a minute, and so would the loop for a thread of its own.
        """
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._spans.shutdown()  # type: ignore[no-untyped-call]
            with suppress(RuntimeError):  # the loop is gone, and with it who waited
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=shut_down, name="spans", daemon=True).start()
        try:
            async with asyncio.timeout(within_s):
                await ended.wait()
        except TimeoutError:
            self._exporter.shutdown()


def exporting_by(
    environment: Mapping[str, str], services: Sequence[str], *, namespace: str
) -> Exporting:
    """Tracing of these services. Each has its own ``service.name``, unless ``OTEL_SERVICE_NAME`` says one.

    Raises SettingsError for an exporter or a protocol that is not there.
    """
    exporter = _exporter(environment)
    spans = BatchSpanProcessor(exporter)
    together = "-".join(services) or namespace
    providers = {
        name: _provider(environment, name or together, namespace, spans) for name in (*services, "")
    }
    tracing = Tracing(lambda service: providers.get(service, providers[""]))
    provider = providers[services[0] if len(services) == 1 else ""]
    return Exporting(tracing, spans, exporter, provider)


def _provider(
    environment: Mapping[str, str], name: str, namespace: str, spans: BatchSpanProcessor
) -> TracerProvider:
    attributes = {SERVICE_NAMESPACE: namespace}
    if not environment.get("OTEL_SERVICE_NAME"):
        attributes[SERVICE_NAME] = name
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(spans)
    return provider


def _exporter(environment: Mapping[str, str]) -> SpanExporter:
    named = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if named == "console":
        return ConsoleSpanExporter()
    if named != "otlp":
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER is {named!r}; use otlp or console, or none for no traces."
        )
    protocol = (
        environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    if protocol != "http/protobuf":
        raise SettingsError(
            f"The protocol of OTLP is {protocol!r}; this worker speaks http/protobuf. Name the collector's "
            "port for HTTP, usually 4318, and leave the protocol out."
        )
    return OTLPSpanExporter()
