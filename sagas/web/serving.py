"""What every HTTP server within a process that has other work needs: a port, and signals left alone."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from sagas.core.errors import SettingsError

__all__ = ["QuietServer", "address_of", "listen"]


class QuietServer(uvicorn.Server):
    """Signals are the process's: it drains its workers, say, while this goes on answering."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


def listen(host: str, port: int, *, backlog: int, what: str, option: str) -> socket.socket:
    """Bound here and not by uvicorn, which ends the whole process when it fails.

    Port 0 takes a free one. Raises SettingsError, in words about ``what`` is served and the option to change.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=backlog)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"Port {port} on {host} cannot be opened for {what} ({error}); give a free one with {option}."
        ) from error


def address_of(listening: socket.socket) -> str:
    """Where it listens, as a browser wants it, without a path."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
