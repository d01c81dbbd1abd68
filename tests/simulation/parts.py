"""What the model of the world is made of: plans, faults, calls, messages and a participant's store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sagas.core.controls import Control
from sagas.core.definition import Direction
from sagas.core.instance import Fact

__all__ = ["NO_FAULTS", "Attempted", "Call", "Faults", "Message", "Participant", "Plan"]

T = TypeVar("T")

Attempted = tuple[str, Direction, int]
"""An action whose next attempt is noted: its step, direction and epoch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a step ends: the index of its done event, a refusal, its otherwise event, or a failure for good.

    ``effect`` says whether a step that fails had taken effect. A step that waits is completed, refused,
    or "never" answered, at any moment. ``undo_fails``: its compensation fails for good until it is mended.
    """

    kind: str = "done"
    choice: int = 0
    effect: bool = False
    undo_fails: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """What may go wrong, each a budget for one run."""

    crashes: int = 0
    duplicates: int = 0
    timers: int = 0
    cancels: int = 0
    agains: int = 0
    postponements: int = 0
    crash_at: int | None = None
    crash_after: bool = False


NO_FAULTS = Faults()


@dataclass(slots=True)
class Call(Generic[T]):
    """A call to the world, suspended until the schedule lets it happen."""

    name: str
    perform: Callable[[], T]

    def __await__(self) -> Generator[Call[T], T, T]:
        result: T = yield self
        return result


@dataclass(frozen=True, slots=True)
class Message:
    """A record on its way: an event, or a control message."""

    fact: Fact
    control: Control | None = None
    attempt: int | None = None
    """The number of the postponed attempt that this message brings."""
    """The step that it is an attempt at."""


@dataclass(slots=True)
class Participant:
    """The store of one step: its journal, and its effects counted."""

    forward: str | None = None
    tombstone: bool = False
    undone: dict[int, str] = field(default_factory=dict)
    effects: Counter[Direction] = field(default_factory=Counter)
    again: Counter[int] = field(default_factory=Counter)
