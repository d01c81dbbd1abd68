"""Tracing whose spans a test can look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler

from sagas.observability.tracing import Tracing
from sagas.ports import Clock

__all__ = ["Traced"]


@dataclass
class Traced:
    """Tracing that keeps its spans, in virtual time."""

    sampler: Sampler = DEFAULT_ON
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __call__(self, clock: Clock) -> Tracing:
        return Tracing(self.provider, now_ns=lambda: clock.now_ms() * 1_000_000)

    def provider(self, service: str) -> TracerProvider:
        provider = TracerProvider(
            sampler=self.sampler,
            resource=Resource({"service.name": service or "client"}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        return provider

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def one(self, name: str) -> ReadableSpan:
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def id(self, name: str) -> int:
        context = self.one(name).context
        assert context is not None
        return int(context.span_id)

    def tree(self) -> dict[str, str | None]:
        """Each span's name with that of what it is below; all are of one trace, and none is there twice."""
        ids = {span.context.span_id: span.name for span in self.spans if span.context}
        assert len(ids) == len(self.spans)
        assert len({span.context.trace_id for span in self.spans if span.context}) == 1
        return {
            span.name: None if span.parent is None else ids.get(span.parent.span_id, "caller")
            for span in self.spans
        }
