"""What is known around an instance: who works on it, how long things usually take, dead letters.

Owns these facts as values. Whoever gathers them decides how far to look; what is not known is None, and is
said to be so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sagas.core.definition import Direction

__all__ = ["LetterFact", "ServiceFact", "Surroundings", "Usual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFact:
    """How a service stands. ``workers`` are the members of its consumer group, ``lag`` the records that
    wait for it on its topics; None where nobody could be asked. ``last_error`` is what a worker of it met
    last, at ``error_at_ms``. ``states`` counts its workers by what they say of themselves.
    """

    service: str
    workers: int | None = None
    lag: int | None = None
    last_error: str | None = None
    error_at_ms: int | None = None
    states: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """How long something took in a sample of so many instances: half of them no longer than ``half_ms``,
    nineteen of twenty no longer than ``most_ms``.
    """

    half_ms: int
    most_ms: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFact:
    """An open dead letter of the instance: its id as ``sagas dead-letters`` takes it."""

    id: str
    service: str
    event: str | None
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """All that is known around an instance. ``usual`` is by step and direction; ``letters`` None where
    nobody has looked. ``keep_ended_ms`` is how long ended instances are kept; None for ever.
    """

    services: Mapping[str, ServiceFact] = field(default_factory=dict)
    usual: Mapping[tuple[str, Direction], Usual] = field(default_factory=dict)
    letters: tuple[LetterFact, ...] | None = None
    keep_ended_ms: int | None = None
