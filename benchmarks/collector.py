"""A collector of traces that takes everything and keeps nothing: ``python -m benchmarks.collector``.

Prints its address once it listens. It stands for a collector on another machine: what it
costs is nobody's.
"""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["main"]


class _Takes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """All is well."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Keep still."""


def main() -> None:
    """Listen until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Takes)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
