"""The campaign's own Kafka, Redis and PostgreSQL, as ``scripts/stack`` has started them."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from dataclasses import dataclass, field
from pathlib import Path

from campaign.process import ROOT

__all__ = ["Servers"]

_STACK = ROOT / "scripts/stack"
_PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of one directory, and nothing else. One fault at a time has a server in hand."""

    folder: Path
    kafka: str
    redis: str
    postgresql: str
    turns: dict[str, asyncio.Lock] = field(
        default_factory=lambda: {name: asyncio.Lock() for name in ("kafka", "redis", "postgresql")}
    )

    @classmethod
    def of_environment(cls) -> Servers:
        """Raises KeyError where ``scripts/campaign`` has not started them."""
        names = ("SAGAS_STACK", "SAGAS_KAFKA", "SAGAS_REDIS", "SAGAS_POSTGRESQL")
        folder, kafka, redis, postgresql = (os.environ[name] for name in names)
        return cls(Path(folder), kafka, redis, postgresql)

    async def stop(self, server: str) -> None:
        """Stop it as its own manual says."""
        await self._stack("down", server)

    async def start(self, server: str) -> None:
        """Start it on the port that it had, and wait until it answers."""
        await self._stack("up", server)

    async def crash(self, server: str) -> None:
        """End it at once, and wait until it is gone.

        SIGKILL; PostgreSQL's SIGQUIT is the same to its data, and takes its children along.
        """
        number = signal.SIGQUIT if server == "postgresql" else signal.SIGKILL
        pid = int((self.folder / server / "pid").read_text().split()[0])
        gone = asyncio.create_task(asyncio.to_thread(_wait_for_end, os.pidfd_open(pid)))
        os.kill(pid, number)
        async with asyncio.timeout(_PATIENCE_S):
            await gone

    def lose_the_last_second(self, bytes_: int) -> int:
        """Cut so many bytes from what a crashed Redis has written last; how many were there.

        Its process died, not its machine: what it had written is in the page cache, synced or not. A
        machine that dies takes that along, and this is what it leaves.
        """
        newest = max((self.folder / "redis/appendonlydir").glob("*.incr.aof"), key=_age)
        size = newest.stat().st_size
        os.truncate(newest, max(0, size - bytes_))
        return size

    async def _stack(self, command: str, server: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(_STACK, command, "--dir", self.folder, server),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_PATIENCE_S):
            said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"scripts/stack {command} {server}: {said.decode()[-2000:]}")


def _age(file: Path) -> float:
    return file.stat().st_mtime


def _wait_for_end(process: int) -> None:
    try:
        select.select([process], [], [], _PATIENCE_S)
    finally:
        os.close(process)
