"""Instances that have recorded events at moments of a virtual day, for tests of what is said about them."""

from __future__ import annotations

from datetime import UTC, datetime

from sagas.core.definition import Definition, Direction, Role
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance, SagaStatus

__all__ = ["NOON_MS", "Telling", "at", "clock", "recorded"]

NOON_MS = int(datetime(2026, 1, 31, 14, tzinfo=UTC).timestamp()) * 1000
"""Two o'clock: when every saga of these tests begins."""

Telling = str | tuple[str, str, Role]
"""An event of the saga, or the framework's with its step and role."""


def at(seconds: float) -> int:
    """So many seconds after the beginning."""
    return NOON_MS + round(seconds * 1000)


def clock(ms: int) -> str:
    """As a reader in UTC sees it."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%H:%M:%S}"


def recorded(
    definition: Definition,
    events: dict[float, Telling],
    *,
    heartbeats: dict[str, int] | None = None,
) -> Instance:
    """An instance with these events, each so many seconds after the beginning, caused by the one before."""
    instance = Instance(definition, "o-1")
    cause = None
    for number, (seconds, told) in enumerate(events.items()):
        if isinstance(told, str):
            outcome = definition.outcome_of[told]
            type_, step, role = told, outcome.step, outcome.role
        else:
            type_, step, role = told
        turned = instance.phase is not SagaStatus.RUNNING
        undo = role in {Role.UNDONE, Role.UNDO_FAILED, Role.AGAIN}
        fact = Fact(
            id=f"e{number}",
            type=type_,
            step=step,
            role=role,
            cause=cause,
            direction=Direction.UNDO
            if undo or (turned and role is Role.PARKED)
            else Direction.FORWARD,
            published=True,
            at_ms=at(seconds),
            assumed=role is Role.OTHERWISE and not definition.by_name[step].waits,
            epoch=1 if role is Role.AGAIN else 0,
        )
        instance, cause = evolve(instance, fact), fact.id
    return instance._replace(heartbeats=heartbeats or {})
