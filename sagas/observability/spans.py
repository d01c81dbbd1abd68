"""Spans with names and ids that are known before they are made, on OpenTelemetry's own SDK.

Owns the ids: a span that stands for something of a saga has the id that follows from its name
(``sagas.wire.trace``), whichever process makes it, and however often. Knows nothing of what happens to sagas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    TraceState,
)

from sagas.wire.trace import child_of

__all__ = ["Attributes", "Spans", "Where", "current", "where_of"]

Attributes = Mapping[str, str | int | bool]

_SCOPE = "sagas"
_GIVEN: ContextVar[tuple[int, int] | None] = ContextVar("sagas_given_ids", default=None)


class Where(NamedTuple):
    """A place in a trace: what stands there, or is to be below it."""

    context: SpanContext

    @property
    def traceparent(self) -> str:
        """As it travels."""
        here = self.context
        return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags & 0xFF:02x}"

    def named(self, name: str) -> Where:
        """What has that name, in the same trace."""
        return where_of(child_of(self.traceparent, name), self.state)

    @property
    def state(self) -> str | None:
        """The W3C tracestate, if there is any."""
        return self.context.trace_state.to_header() or None


def where_of(traceparent: str, tracestate: str | None = None) -> Where:
    """The place that a context names, which ``sagas.wire.trace`` has made."""
    _, trace_id, span_id, flags = traceparent.split("-")
    state = TraceState() if tracestate is None else TraceState.from_header([tracestate])
    return Where(
        SpanContext(
            int(trace_id, 16),
            int(span_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(int(flags, 16)),
            trace_state=state,
        )
    )


class Spans:
    """Makes the spans of one service on a provider, whose ids it gives where they are known.

    The provider's samplers, processors and exporters do what they always do.
    """

    def __init__(self, provider: TracerProvider) -> None:
        if not isinstance(provider.id_generator, _GivenIds):
            given: IdGenerator = _GivenIds(provider.id_generator)
            provider.id_generator = given  # type: ignore[assignment]  # declared as the first it gets
        self.provider = provider
        self._tracer: Tracer = provider.get_tracer(_SCOPE)

    def is_sampled(self, trace_id: int, name: str) -> bool:
        """What the sampler says of a trace that begins here, for every process alike."""
        decision = self.provider.sampler.should_sample(None, trace_id, name).decision
        return decision is Decision.RECORD_AND_SAMPLE

    def make(
        self,
        name: str,
        *,
        at: Where,
        below: Where | None,
        begun_ns: int,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes,
        links: Sequence[Where] = (),
    ) -> Span:
        """A span that began then and stands there; to be ended by whoever asked for it.

        Without anything that it is below, its trace begins with it.
        """
        given = _GIVEN.set((at.context.trace_id, at.context.span_id))
        try:
            return self._tracer.start_span(
                name,
                context=_below(below),
                kind=kind,
                attributes=attributes,
                links=[Link(one.context) for one in links],
                start_time=begun_ns,
            )
        finally:
            _GIVEN.reset(given)

    def begin(
        self, name: str, *, below: Where | None, kind: SpanKind, attributes: Attributes, now_ns: int
    ) -> Span:
        """A span that begins now, with whatever id."""
        return self._tracer.start_span(
            name, context=_below(below), kind=kind, attributes=attributes, start_time=now_ns
        )


def _below(where: Where | None) -> context_api.Context:
    nothing = context_api.Context()
    if where is None:
        return nothing
    return trace.set_span_in_context(NonRecordingSpan(where.context), nothing)


@contextmanager
def current(where: Where) -> Iterator[None]:
    """What is traced inside, by whichever library, is below that place."""
    inside = trace.set_span_in_context(NonRecordingSpan(where.context))
    token = context_api.attach(inside)
    try:
        yield
    finally:
        context_api.detach(token)


class _GivenIds(IdGenerator):
    """The ids that are given for the span that is made just now; for all others a generator's own."""

    def __init__(self, others: IdGenerator) -> None:
        self._others = others

    def generate_span_id(self) -> int:
        given = _GIVEN.get()
        return self._others.generate_span_id() if given is None else given[1]

    def generate_trace_id(self) -> int:
        given = _GIVEN.get()
        return self._others.generate_trace_id() if given is None else given[0]

    def is_trace_id_random(self) -> bool:
        return _GIVEN.get() is None and self._others.is_trace_id_random()
