"""What an explanation is: where a saga stands, in sentences and in fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sagas.core.instance import SagaStatus
from sagas.operating.explaining.awaited import Awaited, Then
from sagas.operating.explaining.sentences import About, Sentence
from sagas.operating.explaining.stuck import StuckReason
from sagas.operating.explaining.surroundings import LetterFact, ServiceFact, Usual
from sagas.operating.mending import Mend

__all__ = ["Expected", "Explanation", "Situation"]


class Situation(StrEnum):
    """Where a saga can stand, for whoever looks."""

    WAITING = "waiting"
    """For services: a step's answer."""
    OUTSIDE = "waiting for outside"
    """For nothing but answers from outside, or for time to pass."""
    RETRYING = "retrying"
    """For the next attempt at something that has failed."""
    INCOMPLETE = "incomplete"
    """For events that are under way to the table, or lost."""
    COMPENSATING = "compensating"
    PARKED = "parked"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    FAILED = "failed"
    UNREADABLE = "unreadable"
    """The project's definition can not read its row."""
    REBUILDING = "rebuilding"
    """Its part of the saga table is being rebuilt."""
    LOST = "lost"
    """Its part of the saga table is lost, or was never there."""
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One thing that is waited for, with what is usual for it and who is to do it."""

    awaited: Awaited
    usual: Usual | None
    service: ServiceFact | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where one saga instance stands at ``now_ms``; every time in milliseconds since the epoch.

    ``expects`` is what it waits for (of a parked one, what would come next). ``stuck`` says why it counts
    as stuck, the surest reason first. ``undone`` and ``to_undo`` are steps, in the order of undoing;
    ``left`` is the ledger. ``choices`` are what an operator can ask, as commands that are typed as they
    are but for the reason. ``since_ms`` is its last change.
    """

    saga: str
    saga_id: str
    situation: Situation
    now_ms: int
    sentences: tuple[Sentence, ...]
    status: SagaStatus | None = None
    state: str | None = None
    started_ms: int | None = None
    since_ms: int | None = None
    ended_ms: int | None = None
    deadline_ms: int | None = None
    deadline_then: Then | None = None
    reason: str | None = None
    expects: tuple[Expected, ...] = ()
    stuck: tuple[StuckReason, ...] = ()
    undone: tuple[str, ...] = ()
    to_undo: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    letters: tuple[LetterFact, ...] | None = None
    choices: tuple[Mend, ...] = ()

    def about(self, *wanted: About) -> tuple[Sentence, ...]:
        """The sentences about that, in their order."""
        return tuple(one for one in self.sentences if one.about in wanted)

    def text(self, moment: Callable[[int], str]) -> str:
        """All sentences as one paragraph."""
        return " ".join(one.text(moment) for one in self.sentences)
