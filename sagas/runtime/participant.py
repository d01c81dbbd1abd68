"""A service with all that its worker handles messages with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sagas.ports import Broker, Clock, Ids
from sagas.ports.telemetry import Telemetry
from sagas.restoring import RestorableTable
from sagas.runtime.assignments import Assignments
from sagas.runtime.execution import Execution
from sagas.runtime.patience import Patience
from sagas.runtime.recent import RecentIds
from sagas.runtime.restorer import Restorer
from sagas.runtime.retry_topics import RetryTopics
from sagas.service import Service
from sagas.wire.topics import Topics

__all__ = ["Participant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A service with all that its worker handles messages with."""

    service: Service
    topics: Topics
    broker: Broker
    table: RestorableTable
    clock: Clock
    ids: Ids
    patience: Patience
    execution: Execution
    resources: Mapping[type, object]
    retries: RetryTopics
    assignments: Assignments = field(init=False)
    confirmed: RecentIds = field(default_factory=RecentIds)
    restorers: Mapping[str, Restorer] = field(default_factory=dict)
    """By saga name; without one, what a row has lost is not looked for."""
    telemetry: Telemetry | None = None
    keep_ended_ms: int | None = None
    """For so long instances that have ended are kept; None for ever."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "assignments", Assignments(self.service))
