"""What became of the sagas of a test, in a form that reads well in an assertion and in its failure.

Owns a copy of what the saga table holds, so that a test may look at it without awaiting anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from sagas.adapters.memory.table import MemorySagaTable
from sagas.core.definition import Direction
from sagas.core.events import Event
from sagas.core.saga import Saga
from sagas.core.timers import RETRY
from sagas.ports import Row, RowChange
from sagas.runtime.incoming import event_of
from sagas.runtime.views import SagaView
from sagas.testing.clock import VirtualClock
from sagas.wire.notes import attempt_note

__all__ = [
    "DeadLetter",
    "FailedAttempt",
    "RecordedEvent",
    "RecordedTable",
    "history_of",
    "shown",
    "told",
]


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


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt at a step, or at its undo, that failed and is followed by another.

    ``number`` counts from 1; ``at`` and ``next_at`` are virtual time since the start. ``waits``: the
    message that brings the next one stands in a retry topic.
    """

    step: str
    undo: bool
    number: int
    error: str
    at: timedelta
    next_at: timedelta
    waits: bool

    def __repr__(self) -> str:
        undo = "the undo of " if self.undo else ""
        return (
            f"+{self.at.total_seconds():.3f}s attempt {self.number} of {undo}{self.step} failed: "
            f"{self.error}; the next one is due at +{self.next_at.total_seconds():.3f}s"
        )


class RecordedTable(MemorySagaTable):
    """The saga table in memory; ``rows`` is what it holds, by saga and saga id."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[tuple[str, str], Row] = {}
        self.noted: list[tuple[str, str, str, str]] = []

    async def store(self, change: RowChange) -> bool:
        """Store, and copy what was stored."""
        stored = await super().store(change)
        if stored:
            await self._copy(change.saga, change.saga_id)
        return stored

    async def annotate(
        self, saga: str, saga_id: str, name: str, note: str | None, *, due_ms: int | None = None
    ) -> bool:
        """Annotate, and copy what was kept. ``noted`` has every note about attempts, in order."""
        kept = await super().annotate(saga, saga_id, name, note, due_ms=due_ms)
        if kept:
            await self._copy(saga, saga_id)
        if kept and note is not None and name.startswith(RETRY):
            self.noted.append((saga, saga_id, name, note))
        return kept

    def attempts(self, saga: str, saga_id: str, clock: VirtualClock) -> list[FailedAttempt]:
        """The attempts that failed and were followed by another, in the order in which they were made."""
        return [
            attempt
            for noted_saga, noted_id, name, text in self.noted
            if (noted_saga, noted_id) == (saga, saga_id)
            and (attempt := _attempt(name, text, clock)) is not None
        ]

    async def _copy(self, saga: str, saga_id: str) -> None:
        row = await super().load(saga, saga_id, events=True)
        if row is not None:
            self.rows[saga, saga_id] = row


def _attempt(name: str, text: str, clock: VirtualClock) -> FailedAttempt | None:
    note = attempt_note({name: text}, name)
    if note is None:
        return None
    step, direction, *_ = name.removeprefix(RETRY).split("/")
    return FailedAttempt(
        step,
        undo=direction == Direction.UNDO,
        number=note.attempts,
        error=note.error,
        at=clock.since_start(note.at_ms),
        next_at=clock.since_start(note.next_ms),
        waits=note.elsewhere,
    )


def history_of(saga: type[Saga], view: SagaView, clock: VirtualClock) -> list[RecordedEvent]:
    """The recorded events of a saga, typed, in the order in which they were recorded."""
    return [
        RecordedEvent(
            entry.service,
            event_of(saga, entry.written or entry.event, entry.payload or b""),
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
