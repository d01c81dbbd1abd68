"""A collector for tests: takes traces over OTLP/HTTP, in protobuf, as any OpenTelemetry collector does."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["Collector", "Received", "collector"]


@dataclass(frozen=True)
class Received:
    """A span as it came."""

    service: str
    span: Span
    attributes: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.span.name


@dataclass
class Collector:
    """What has come so far."""

    endpoint: str = ""
    spans: list[Received] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self.arrived:
            for resource in request.resource_spans:
                service = _texts(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    self.spans += (
                        Received(service, span, _texts(span.attributes)) for span in scope.spans
                    )
            self.arrived.notify_all()

    def of(self, saga_id: str) -> list[Received]:
        return [one for one in self.spans if one.attributes.get("sagas.saga_id") == saga_id]

    def wait_for(self, saga_id: str, names: Sequence[str], *, timeout_s: float) -> list[Received]:
        """The spans of an instance, once these have come."""
        with self.arrived:
            self.arrived.wait_for(
                lambda: set(names) <= {one.name for one in self.of(saga_id)}, timeout_s
            )
        return self.of(saga_id)


def _texts(attributes: Sequence[KeyValue]) -> dict[str, str]:
    found = {}
    for one in attributes:
        value = one.value
        found[one.key] = value.string_value or str(value.int_value)
    return found


@contextmanager
def collector() -> Iterator[Collector]:
    """One that listens on a free port until the block is left."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            found.paths.add(self.path)
            found.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as it is called there
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.endpoint = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield found
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
