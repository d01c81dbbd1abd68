"""Server processes: started detached, remembered in a pid file, stopped only if still the same.

A pid alone may have been given to another program since; pid and start time together may not.
"""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STARTUP_TIMEOUT_S = 90
SHUTDOWN_TIMEOUT_S = 20


@dataclass(frozen=True)
class ServerProcess:
    """One server's process, known by `directory/pid`; its output goes to `directory/log`."""

    directory: Path
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def pid(self) -> int | None:
        """The running process that this directory's pid file means, if it still runs."""
        try:
            pid, started = (self.directory / "pid").read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == started else None

    def start(self, command: list[str], user: str | None = None) -> None:
        """Start `command` in a session of its own, so that it outlives the script."""
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        (self.directory / "pid").write_text(f"{process.pid} {start_time(process.pid)}\n")

    def wait_until(self, answers: Callable[[], bool]) -> None:
        """Ask the server until it answers; give up when it has died or the time is over."""
        give_up = time.monotonic() + STARTUP_TIMEOUT_S
        while not answers():
            if self.pid is None or time.monotonic() > give_up:
                log = (self.directory / "log").read_text(errors="replace")
                raise SystemExit(f"{self.directory.name} did not start:\n{log[-4000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the process: politely first, for good when it takes too long."""
        for sign in (self.stop_signal, signal.SIGKILL):
            give_up = time.monotonic() + SHUTDOWN_TIMEOUT_S
            if pid := self.pid:
                os.kill(pid, sign)
            while self.pid is not None and time.monotonic() < give_up:
                time.sleep(0.05)
        (self.directory / "pid").unlink(missing_ok=True)


def start_time(pid: int) -> str | None:
    """When the process started, in ticks since boot; None for one that is gone or a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else fields[18]


def free_port() -> int:
    """Find a port that nobody listens on, below the range that outgoing connections use."""
    while True:
        port = random.randint(20_000, 32_000)  # noqa: S311  not a secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
