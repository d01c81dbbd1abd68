"""Redis as the saga table wants it: append-only file, nothing evicted."""

import socket
from pathlib import Path

from local_stack.packages import need
from local_stack.processes import ServerProcess

SETTINGS = {
    "bind": "127.0.0.1",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "save": "",
    "databases": "64",
}


def process(directory: Path) -> ServerProcess:
    """Name the Redis of this directory, running or not."""
    return ServerProcess(directory)


def start(directory: Path, port: int) -> None:
    """Start Redis and wait until it answers PING (it refuses while it loads its file)."""
    settings = SETTINGS | {"port": str(port), "dir": str(directory)}
    flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
    server = process(directory)
    server.start([need("redis-server", "redis-server"), *flags])
    server.wait_until(lambda: _answers(port))


def environment(port: int) -> dict[str, str]:
    """Say where clients find it."""
    return {"SAGAS_REDIS": f"redis://127.0.0.1:{port}/0"}


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False
