"""The places for processes of services: filled, emptied, and filled again when a process ends by itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from campaign.logs import Logs
from campaign.process import Process

__all__ = ["Worker"]

_RUNNING_S = 150
"""A worker waits for servers that are away; with all of them there it takes three seconds."""
_STOP_S = 90
_DEATHS_MAX = 20
_KILLED = 137


@dataclass(slots=True)
class Worker:
    """One place. ``http_port`` is that of orders."""

    name: str
    service: str
    environment: Mapping[str, str]
    logs: Logs
    folder: Path
    http_port: int | None = None
    died: list[str] = field(default_factory=list)
    """Ends that nobody had asked for."""
    exits: list[int] = field(default_factory=list)
    """Exit codes after SIGTERM."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the fault that has this worker in hand."""
    _process: Process | None = None
    _watching: asyncio.Task[None] | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a process that has joined its group."""
        return self._process is not None and self._process.running.is_set()

    async def start(self) -> None:
        """Start a process and wait until it has joined its group. Raises TimeoutError."""
        await self._spawn()
        await self.runs()

    async def runs(self) -> None:
        """Wait until the process has joined its group. Raises TimeoutError."""
        async with asyncio.timeout(_RUNNING_S):
            while self._process is not None and not self.is_there:
                await self._process.running_or_ended()

    async def _spawn(self) -> None:
        port = {} if self.http_port is None else {"SAGAS_ORDERS_HTTP_PORT": str(self.http_port)}
        file = self.folder / f"{self.name}.log"
        self._process = await Process.started(
            self.name, self.service, {**self.environment, **port}, self.logs, file
        )
        self._watching = asyncio.create_task(self._watch(self._process))

    async def _watch(self, process: Process) -> None:
        """A process that ends by itself is a finding, and is started again as a platform would."""
        code = await asyncio.shield(process.ended)
        if self._process is process:
            self.died.append(f"{self.name} ended by itself with exit code {code}")
            if len(self.died) < _DEATHS_MAX:
                await self._spawn()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None:
            self._process.signal(number)

    async def kill(self) -> None:
        """SIGKILL, as the kernel would."""
        process, self._process = self._process, None
        if process is not None:
            process.signal(signal.SIGKILL)
            await process.ended

    async def stop(self) -> int:
        """SIGTERM; the exit code. One that does not end in time is killed, and says so by 137."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.signal(signal.SIGTERM)
        await asyncio.wait((process.ended,), timeout=_STOP_S)
        if not process.ended.done():
            process.signal(signal.SIGKILL)
        code = await process.ended
        self.exits.append(_KILLED if code < 0 else code)
        return self.exits[-1]
