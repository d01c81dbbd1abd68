"""The register of workers, and how far behind their groups are, as protocols.

A report is a hint for people and their tools: nothing that handles messages reads it, and a register that
is lost is complete again after one beat of each worker.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from sagas.core.lifecycle import WorkerState
from sagas.ports import TopicPartition

__all__ = ["WORKERS_MAX", "ErrorSeen", "GroupOffsets", "WorkerRegistry", "WorkerReport"]

WORKERS_MAX = 5_000
"""So many workers are shown at most; more than anybody runs in a namespace."""


class ErrorSeen(BaseModel):
    """An error that a worker has met: what it said, never what the message said."""

    model_config = ConfigDict(frozen=True)

    at_ms: int
    words: Annotated[str, Field(max_length=1_000)]


class WorkerReport(BaseModel):
    """What a worker says of itself: one service in one process. Times in milliseconds since the epoch.

    ``partitions`` are those that its group gave to it, by topic. ``in_flight`` messages are begun and not
    finished. ``health`` is the word of ``/health``, ``reason`` says why it is no better.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    service: str
    version: str = ""
    tags: tuple[str, ...] = ()
    host: str = ""
    pid: int = 0
    started_at_ms: int
    seen_at_ms: int
    state: WorkerState
    health: str = ""
    reason: str = ""
    partitions: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    in_flight: int = 0
    last_error: ErrorSeen | None = None


class WorkerRegistry(Protocol):
    """Who works. A report is there until its worker is withdrawn, or has said nothing for as long as it
    announced.
    """

    async def announce(self, report: WorkerReport, *, ttl_ms: int) -> None:
        """Keep this report, in place of an earlier one of its id, for so long. Safe to repeat.

        Raises TableUnavailable.
        """

    async def withdraw(self, worker_id: str) -> None:
        """Forget the worker, if it is there. Safe to repeat. Raises TableUnavailable."""

    async def workers(self) -> Sequence[WorkerReport]:
        """The reports that are there, by service, start and id; at most ``WORKERS_MAX``.

        One that this version can not read is left out. Raises TableUnavailable.
        """

    async def stop(self) -> None:
        """Close the connection. Safe to repeat."""


class GroupOffsets(Protocol):
    """Looks how far consumer groups have come. Changes nothing."""

    async def behind(
        self, groups: Mapping[str, Collection[str]]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        """For each group, how many records of each partition of its topics it has not committed.

        What was never committed is behind from the partition's beginning. A topic that is missing is
        left out. A record that waits in a retry topic counts like any other. Raises BrokerUnavailable.
        """
