"""The life of a worker as a table: what it does, what can happen to it, and what it does then.

Owns nothing but the table. Whoever lives by it calls ``after`` and keeps the answer.
"""

from __future__ import annotations

from enum import StrEnum

from sagas.core.errors import ContractViolation

__all__ = ["Happening", "WorkerState", "after"]


class WorkerState(StrEnum):
    """What a worker does. Only a running one is given messages."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Happening(StrEnum):
    """What can happen to a worker."""

    LAUNCHED = "launched"
    JOINED = "joined"
    ASKED_TO_STOP = "asked to stop"
    FAILED = "failed"
    LEFT = "left"


_NEW, _STARTING, _RUNNING = WorkerState.NEW, WorkerState.STARTING, WorkerState.RUNNING
_STOPPING, _STOPPED = WorkerState.STOPPING, WorkerState.STOPPED

_TABLE = {
    (_NEW, Happening.LAUNCHED): _STARTING,
    # Nothing was opened, so there is nothing to leave.
    (_NEW, Happening.ASKED_TO_STOP): _STOPPED,
    (_STARTING, Happening.JOINED): _RUNNING,
    # What is open already is closed in order.
    (_STARTING, Happening.ASKED_TO_STOP): _STOPPING,
    (_STARTING, Happening.FAILED): _STOPPING,
    # A member whose polls keep failing joins anew.
    (_RUNNING, Happening.JOINED): _RUNNING,
    (_RUNNING, Happening.ASKED_TO_STOP): _STOPPING,
    # What was begun is finished and committed all the same.
    (_RUNNING, Happening.FAILED): _STOPPING,
    # It is on its way out: neither another wish nor another failure makes it quicker.
    (_STOPPING, Happening.ASKED_TO_STOP): _STOPPING,
    (_STOPPING, Happening.FAILED): _STOPPING,
    # Its group answered after it had been asked to leave.
    (_STOPPING, Happening.JOINED): _STOPPING,
    (_STOPPING, Happening.LEFT): _STOPPED,
    # Whoever stops everybody need not know who has stopped.
    (_STOPPED, Happening.ASKED_TO_STOP): _STOPPED,
    # What it could not close is told, and changes nothing any more.
    (_STOPPED, Happening.FAILED): _STOPPED,
}


def after(state: WorkerState, happening: Happening) -> WorkerState:
    """What a worker does after something has happened to it.

    Raises ContractViolation for what can not happen then: a worker lives once.
    """
    found = _TABLE.get((state, happening))
    if found is None:
        raise ContractViolation(
            f"A worker that is {state} can not have {happening}: make another one, and run it once."
        )
    return found
