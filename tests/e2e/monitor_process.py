"""The monitor as a process of its own, and what it serves."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

__all__ = ["MonitorProcess", "monitor_process"]

PROJECT = Path(__file__).parents[2]
NOWHERE = "redis://127.0.0.1:1/0"
_STOPPED_IN_S = 30


class MonitorProcess:
    """Started, stopped and killed at will; its state is in a file. It is told of no Redis that there is."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.state = folder / "monitor.db"
        self.port = _free_port()
        self._log = folder / "monitor.log"
        self._process: subprocess.Popen[bytes] | None = None
        foreign = {
            name: value for name, value in os.environ.items() if not name.startswith("SAGAS_")
        }
        self._environment = {
            **foreign,
            "SAGAS_REDIS": NOWHERE,
            "SAGAS_LOG_LEVEL": "INFO",
            "SAGAS_LOG_FORMAT": "json",
            "SAGAS_MONITOR_STATE": str(self.state),
            "SAGAS_MONITOR_HTTP_PORT": str(self.port),
            **environment,
        }

    def start(self) -> None:
        """Start it; it is not there yet when this returns."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.monitor", "run"],
                cwd=PROJECT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """The exit status, or the signal that it died of."""
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(_STOPPED_IN_S)

    def forget(self) -> None:
        """Delete its state."""
        for file in self.state.parent.glob(f"{self.state.name}*"):
            file.unlink()

    def command(self, *arguments: str) -> str:
        """What one of the monitor's commands prints."""
        return subprocess.run(
            [sys.executable, "-m", "services.monitor", *arguments],
            cwd=PROJECT,
            env=self._environment | {"COLUMNS": "120"},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    async def views_when(
        self, fits: Callable[[dict[str, Any]], bool], *, within_s: float = 60
    ) -> dict[str, Any]:
        """The views once they are as expected. Raises TimeoutError, with the views and the log."""
        views: dict[str, Any] = {}
        try:
            async with asyncio.timeout(within_s), httpx.AsyncClient(timeout=10) as client:
                while True:
                    assert self._process is not None
                    assert self._process.poll() is None, self.log
                    try:
                        url = f"http://127.0.0.1:{self.port}/views"
                        views = (await client.get(url, params={"windows": 1440})).json()
                    except httpx.TransportError:
                        views = {}
                    if views and fits(views):
                        return views
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise TimeoutError(f"{views}\n{self.log}") from error

    def close(self) -> None:
        """Kill it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGKILL)


@contextmanager
def monitor_process(folder: Path, environment: dict[str, str]) -> Iterator[MonitorProcess]:
    """A monitor that is not started yet, and is killed at the end."""
    monitor = MonitorProcess(folder, environment)
    try:
        yield monitor
    finally:
        monitor.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
