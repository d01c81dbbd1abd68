"""The bounds of a process's workers, as the settings say them.

Owns the translation. ``SAGAS_MEMORY_LIMIT`` and the like are explained in ``docs/guides/workers.md``.
"""

from __future__ import annotations

from functools import partial

from sagas.adapters.process_memory import limit_bytes, resident_bytes
from sagas.runtime.health import MemoryUse
from sagas.runtime.isolation import IsolationSettings
from sagas.runtime.memory import MemoryBound
from sagas.runtime.worker import WorkerSettings
from sagas.settings import SagaSettings

__all__ = ["memory_bound", "worker_settings"]


def worker_settings(settings: SagaSettings) -> WorkerSettings:
    """How much a worker takes on, and how much of it runs at once."""
    bounds = IsolationSettings(step=settings.step_bound, tenant=settings.tenant_concurrency)
    return WorkerSettings(backlog_max=settings.backlog_max, isolation=bounds)


def memory_bound(settings: SagaSettings) -> MemoryBound | None:
    """What this process may hold in memory: as it was said, or as its control group has it. None where
    neither says anything.
    """
    limit = limit_bytes() if settings.memory_limit == "auto" else settings.memory_limit_bytes
    if limit is None or resident_bytes() is None:
        return None
    return MemoryBound(use=partial(_use, limit), share_max=settings.memory_leave_at)


def _use(limit: int) -> MemoryUse | None:
    used = resident_bytes()
    return None if used is None else MemoryUse(used, limit)
