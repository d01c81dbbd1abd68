"""One process of a service: what it says is written to a file and counted, and its end is known."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from campaign.logs import Logs

__all__ = ["ROOT", "SAGAS", "Process"]

ROOT = Path(__file__).resolve().parents[3]
SAGAS = Path(sys.executable).with_name("sagas")
_LINE_BYTES_MAX = 16 * 1024 * 1024


class Process:
    """``sagas run SERVICE``, from ``started`` to its end."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process
        self.running = asyncio.Event()
        """Set once it has joined its group."""
        self.ended: asyncio.Task[int]
        """Its exit code, once all that it has said is read."""

    @classmethod
    async def started(
        cls, name: str, service: str, environment: Mapping[str, str], logs: Logs, file: Path
    ) -> Process:
        """Start it; returns before it runs."""
        process = await asyncio.create_subprocess_exec(
            *(SAGAS, "run", service),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE_BYTES_MAX,
        )
        made = cls(name, process)
        made.ended = asyncio.create_task(made._read(logs, file))
        return made

    async def _read(self, logs: Logs, path: Path) -> int:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with path.open("ab") as file:
            while line := await self._process.stdout.readline():
                file.write(line)
                file.flush()
                if logs.note(self._name, line.decode(errors="replace")) == "worker.running":
                    self.running.set()
        return await self._process.wait()

    async def running_or_ended(self) -> None:
        """Wait for whichever comes first."""
        running = asyncio.create_task(self.running.wait())
        await asyncio.wait((running, self.ended), return_when=asyncio.FIRST_COMPLETED)
        running.cancel()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if self._process.returncode is None:
            os.kill(self._process.pid, number)
