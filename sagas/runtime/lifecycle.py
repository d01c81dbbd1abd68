"""The life of one worker as it is lived: where it stands, since when, and the last error that it met.

Owns the state and its log lines, one for each change. The rules are the core's.
"""

from __future__ import annotations

import asyncio

import structlog

from sagas.core.lifecycle import Happening, WorkerState, after
from sagas.ports import Clock
from sagas.ports.workers import ErrorSeen
from sagas.runtime.words import named

__all__ = ["Lifecycle"]

_log = structlog.get_logger()


class Lifecycle:
    """Where one worker stands. ``changed`` is set whenever that is another state."""

    def __init__(self, service: str, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self.state = WorkerState.NEW
        self.started_at_ms = clock.now_ms()
        self.last_error: ErrorSeen | None = None
        self.why = ""
        """What the worker leaves for: what was asked, or the error."""
        self.changed = asyncio.Event()

    @property
    def is_leaving(self) -> bool:
        """Whether it takes no new messages any more."""
        return self.state in {WorkerState.STOPPING, WorkerState.STOPPED}

    def happened(self, happening: Happening, **said: object) -> None:
        """Something has happened to the worker; ``said`` is for the log. Raises ContractViolation."""
        before, self.state = self.state, after(self.state, happening)
        if self.state is before:
            return
        self.changed.set()
        self.why = self.why or (str(happening) if self.is_leaving else "")
        service = self._service
        match self.state:
            case WorkerState.STARTING:
                _log.info("worker.starting", service=service, **said)
            case WorkerState.RUNNING:
                _log.info("worker.running", service=service, **said)
            case WorkerState.STOPPING:
                _log.info("worker.stopping", service=service, because=str(happening), **said)
            case WorkerState.STOPPED:
                _log.info("worker.stopped", service=service, **said)
            case _:
                pass  # nothing leads back to a new one

    def failed(self, error: BaseException) -> None:
        """The worker can not go on: it leaves, and says why."""
        self.heard(error)
        if not self.is_leaving:
            self.why = named(error)
        self.happened(Happening.FAILED, error=named(error))

    def ended(self) -> None:
        """All that was open is closed, however it came to that."""
        if not self.is_leaving:
            self.happened(Happening.ASKED_TO_STOP)
        if self.state is WorkerState.STOPPING:
            self.happened(Happening.LEFT)

    def heard(self, error: BaseException) -> None:
        """An error was met, by whoever does something for this worker. It is shown until there is another."""
        self.last_error = ErrorSeen(at_ms=self._clock.now_ms(), words=named(error))
