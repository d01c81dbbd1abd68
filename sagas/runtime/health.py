"""How a worker is, in one word for whoever sends it work or restarts it.

Owns what each word means. Pure: whoever asks brings what is to be known.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from sagas.core.lifecycle import WorkerState

__all__ = ["Condition", "Health", "MemoryUse", "Vitals", "health_of", "worst"]


class Condition(StrEnum):
    """From the best to the worst."""

    ACCEPTING = "accepting"
    BACKLOG = "backlog"
    STARTING = "starting"
    MEMORY = "memory"
    DRAINING = "draining"


class Health(NamedTuple):
    """How it is, and why it is no better."""

    condition: Condition
    reason: str = ""


class MemoryUse(NamedTuple):
    """What a process holds of the memory that it may have."""

    used_bytes: int
    limit_bytes: int

    @property
    def share(self) -> float:
        """From 0 to 1, or above."""
        return self.used_bytes / self.limit_bytes

    def words(self) -> str:
        """As people say it."""
        used, limit = (round(size / 1024**2) for size in self)
        return f"{used} of {limit} MiB of memory are used ({self.share:.0%})"


class Vitals(NamedTuple):
    """What is to be known of a worker. ``backlog`` messages are begun and not finished, those that wait for
    their time left out; ``is_outside`` says that its group has lost it; ``why`` what it leaves for.
    """

    state: WorkerState
    backlog: int = 0
    backlog_max: int = 0
    is_full: bool = False
    is_outside: bool = False
    memory: MemoryUse | None = None
    memory_share_max: float = 1.0
    why: str = ""


def health_of(vitals: Vitals) -> Health:
    """The worst that is true. What a worker leaves for counts more than what it has to do meanwhile."""
    state, memory = vitals.state, vitals.memory
    if state in {WorkerState.STOPPING, WorkerState.STOPPED}:
        why = f": {vitals.why}" if vitals.why else ""
        return Health(Condition.DRAINING, f"it finishes {vitals.backlog} messages and leaves{why}")
    if memory is not None and memory.share > vitals.memory_share_max:
        return Health(Condition.MEMORY, f"{memory.words()}; it leaves, to be started again")
    if state is not WorkerState.RUNNING:
        return Health(Condition.STARTING, "it has not joined its group yet")
    if vitals.is_outside:
        return Health(Condition.STARTING, "it has lost its group, and joins it again")
    if vitals.is_full:
        return Health(
            Condition.BACKLOG,
            f"{vitals.backlog} messages are begun, and {vitals.backlog_max} are as many as may be; it "
            f"takes new ones again at {vitals.backlog_max // 2}",
        )
    return Health(Condition.ACCEPTING)


def worst(conditions: Iterable[Condition]) -> Condition:
    """That of a process with several workers; accepting if it has none."""
    order = list(Condition)
    return max(conditions, key=order.index, default=Condition.ACCEPTING)
