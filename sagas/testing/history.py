"""What became of the sagas of a test, in a form that reads well in an assertion and in its failure.

Owns a copy of what the saga table holds, so that a test may look at it without awaiting anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from sagas.adapters.memory.table import MemorySagaTable
from sagas.core.events import Event
from sagas.core.saga import Saga
from sagas.ports import Row, RowChange
from sagas.runtime.views import SagaView
from sagas.testing.clock import VirtualClock

__all__ = ["DeadLetter", "RecordedEvent", "RecordedTable", "history_of", "shown", "told"]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of a saga: who emitted it, the event, and the virtual time since the start."""

    service: str
    event: Event
    at: timedelta

    @property
    def type(self) -> type[Event]:
        """The event's class."""
        return type(self.event)

    def __repr__(self) -> str:
        return f"+{self.at.total_seconds():.3f}s {self.service}: {shown(self.event)}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a service could not handle. ``headers``: the record's own and the failure's."""

    service: str
    topic: str
    reason: str
    exception: str
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(repr=False)

    def header(self, name: str) -> str:
        """A header's text; empty where there is none."""
        return dict(self.headers).get(name, b"").decode(errors="replace")


class RecordedTable(MemorySagaTable):
    """The saga table in memory; ``rows`` is what it holds, by saga and saga id."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[tuple[str, str], Row] = {}

    async def store(self, change: RowChange) -> bool:
        """Store, and copy what was stored."""
        stored = await super().store(change)
        if stored:
            key = (change.saga, change.saga_id)
            events = {**self.rows[key].events} if key in self.rows else {}
            self.rows[key] = Row(change.stamp, change.state, {**events, **change.events})
        return stored


def history_of(saga: type[Saga], view: SagaView, clock: VirtualClock) -> list[RecordedEvent]:
    """The recorded events of a saga, typed, in the order in which they were recorded."""
    return [
        RecordedEvent(
            entry.service,
            saga.events[entry.event].model_validate_json(entry.payload),
            clock.since_start(entry.time_ms),
        )
        for entry in view.timeline
    ]


def shown(event: Event) -> str:
    """An event as a reader wants it: an enumeration's member is its value."""
    fields = (
        f"{name}={value.value if isinstance(value, Enum) else value!r}"
        for name, value in event.__repr_args__()
    )
    return f"{type(event).__name__}({', '.join(fields)})"


def told(history: Sequence[RecordedEvent]) -> str:
    """A history, one indented line for each event."""
    return "\n".join(f"    {recorded!r}" for recorded in history) or "    nothing"
