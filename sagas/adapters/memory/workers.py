"""The register of workers in this process's memory."""

from __future__ import annotations

from collections.abc import Sequence

from sagas.ports import Clock
from sagas.ports.workers import WORKERS_MAX, WorkerReport

__all__ = ["MemoryWorkerRegistry"]


class MemoryWorkerRegistry:
    """A ``WorkerRegistry`` that ends with the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[int, WorkerReport]] = {}

    async def announce(self, report: WorkerReport, *, ttl_ms: int) -> None:
        """Keep this report for so long."""
        self._forget_expired()
        self._kept[report.id] = self._clock.now_ms() + ttl_ms, report

    async def withdraw(self, worker_id: str) -> None:
        """Forget the worker."""
        self._kept.pop(worker_id, None)

    async def workers(self) -> Sequence[WorkerReport]:
        """The reports that are there, by service, start and id."""
        self._forget_expired()
        there = (report for _, report in self._kept.values())
        found = sorted(there, key=lambda one: (one.service, one.started_at_ms, one.id))
        return found[:WORKERS_MAX]

    async def stop(self) -> None:
        """Nothing to close."""

    def _forget_expired(self) -> None:
        now_ms = self._clock.now_ms()
        self._kept = {id_: kept for id_, kept in self._kept.items() if kept[0] > now_ms}
