"""Traces of sagas: one for each instance, over all of its services.

Owns which provider makes whose spans, and the spans of clients and observers; those of sagas are
``MessageTrace``'s. Which is below which, and why: docs/decisions/0027.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind

from sagas.observability.contexts import is_own, of_saga, place_of, say
from sagas.observability.message_trace import MessageTrace
from sagas.observability.spans import Spans, Where, current
from sagas.ports.records import OutgoingRecord
from sagas.ports.telemetry import MessageInHand
from sagas.wire.envelope import Envelope, decode_headers

__all__ = ["Tracing"]


class Tracing:
    """Implements ``Telemetry``. ``provider_of`` gives the provider of a service, or of clients for "".

    ``now_ns`` is the time in nanoseconds since the epoch.
    """

    def __init__(
        self,
        provider_of: Callable[[str], TracerProvider],
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._provider_of = provider_of
        self._now_ns = now_ns
        self._spans: dict[str, Spans] = {}

    def spans(self, service: str) -> Spans:
        """Those of a service."""
        found = self._spans.get(service)
        if found is None:
            found = self._spans[service] = Spans(self._provider_of(service))
        return found

    def message(self, message: MessageInHand) -> MessageTrace:
        """See ``Telemetry``."""
        return MessageTrace(self.spans(message.service), message, self._now_ns)

    @contextmanager
    def observing(self, service: str, handler: str, envelope: Envelope) -> Iterator[None]:
        """See ``Telemetry``."""
        below = place_of(envelope)
        attributes = {
            "sagas.service": service,
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.message.id": envelope.id,
            "sagas.event_type": envelope.type,
            "code.function.name": handler,
            **of_saga(envelope.saga, envelope.saga_id),
        }
        span = self.spans(service).begin(
            f"observe {envelope.type}",
            below=below,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            now_ns=self._now_ns(),
        )
        with current(Where(span.get_span_context())), _ended(span, self._now_ns):
            yield

    @contextmanager
    def publishing(self, record: OutgoingRecord) -> Iterator[OutgoingRecord]:
        """See ``Telemetry``.

        The span of the caller, or the context that a caller has given by hand, is what the record is sent
        in. A start without either is sent below the span of its own instance's start.
        """
        envelope = decode_headers(record.headers, record.value or b"", time_ms=0)
        given, here = place_of(envelope), trace.get_current_span().get_span_context()
        own = is_own(envelope)
        below = Where(here) if here.is_valid and (given is None or own) else given
        span = self.spans("").begin(
            f"send {record.topic}",
            below=below,
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "messaging.destination.name": record.topic,
                "messaging.message.id": envelope.id,
                "sagas.event_type": envelope.type,
                **of_saga(envelope.saga, envelope.saga_id),
            },
            now_ns=self._now_ns(),
        )
        sent = Where(span.get_span_context())
        stays = own and not here.is_valid
        with _ended(span, self._now_ns):
            yield record if stays else _with_context(record, sent)

    def dead_lettered(self, service: str, error: Exception) -> None:
        """See ``Telemetry``: the parking that follows is in the trace."""

    def timer_published(self, saga: str, late_ms: int) -> None:
        """See ``Telemetry``: what it leads to is in the trace."""


def _with_context(record: OutgoingRecord, where: Where) -> OutgoingRecord:
    headers = [one for one in record.headers if one[0] not in {"traceparent", "tracestate"}]
    headers.append(("traceparent", where.traceparent.encode()))
    if where.state is not None:
        headers.append(("tracestate", where.state.encode()))
    return record._replace(headers=tuple(headers))


@contextmanager
def _ended(span: Span, now_ns: Callable[[], int]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        say(span, error)
        raise
    finally:
        span.end(now_ns())
