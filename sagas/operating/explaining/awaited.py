"""What an instance waits for, since when, and what happens when its time is up.

Owns the answers, each asked of the functions that decide them: ``timers_of``, ``decide_control``,
``evolve``. Pure: times are those of the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sagas.core.controls import TimerDue, decide_control
from sagas.core.definition import (
    START,
    UNDO_FAILED,
    Direction,
    Join,
    Role,
    StepDefinition,
)
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.timers import retry_name, timers_of
from sagas.wire.notes import attempt_note

__all__ = [
    "Attempt",
    "Awaited",
    "AwaitedKind",
    "Consequence",
    "Then",
    "awaited",
    "consequence",
    "missing_causes",
    "triggered_ms",
    "undo_order",
    "undoable_ms",
]


class AwaitedKind(StrEnum):
    """Who has to do what."""

    ANSWER = "answer"
    """A service performs a step."""
    OUTSIDE = "outside"
    """Somebody outside answers a wait."""
    GRACE = "grace"
    """A wait that nobody answers: its time passes."""
    UNDO = "undo"
    """A service undoes a step."""


class Consequence(StrEnum):
    """What becomes of a saga when a timer is due."""

    GOES_ON = "goes on"
    TURNS_BACK = "turns back"
    PARKS = "parks"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Then:
    """What happens when a timer is due: ``event`` would be recorded, and ``undoes`` is then undone, in this
    order.
    """

    consequence: Consequence
    event: str | None = None
    undoes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """``failed`` attempts have failed, the last one at ``failed_at_ms`` with ``error``; the next one is due
    at ``due_ms``. None has failed where its service had no room for it. ``elsewhere``: a record in a retry
    topic brings it. A hint: a lost table forgets it.
    """

    failed: int
    error: str
    failed_at_ms: int
    due_ms: int
    elsewhere: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """One thing that an instance waits for. ``events`` are what would end it well, by their full names.

    ``since_ms`` is when its last cause was recorded. ``due_ms`` is when its time is up, ``then`` what
    happens then; both None where it has all the time in the world. ``at_work_ms`` is its handler's last
    heartbeat.
    """

    kind: AwaitedKind
    step: str
    service: str
    events: tuple[str, ...]
    since_ms: int
    epoch: int = 0
    due_ms: int | None = None
    then: Then | None = None
    attempt: Attempt | None = None
    at_work_ms: int | None = None

    @property
    def direction(self) -> Direction:
        """Forward, or undo."""
        return Direction.UNDO if self.kind is AwaitedKind.UNDO else Direction.FORWARD


def awaited(instance: Instance, notes: Mapping[str, str]) -> tuple[Awaited, ...]:
    """What comes next, in declaration order; of a parked saga, what would. Empty for one that has ended,
    but for a compensation that is run once more.
    """
    found = list(_forward(instance, notes)) if instance.phase is SagaStatus.RUNNING else []
    return (*found, *_undos(instance, notes))


def _forward(instance: Instance, notes: Mapping[str, str]) -> Iterator[Awaited]:
    timers = timers_of(instance)
    for step in instance.definition.steps:
        if step.name == START or not instance.triggered(step) or instance.resolved(step):
            continue
        kind = AwaitedKind.ANSWER
        if step.waits:
            kind = AwaitedKind.OUTSIDE if step.done or step.refused else AwaitedKind.GRACE
        yield Awaited(
            kind=kind,
            step=step.name,
            service=step.service,
            events=step.done or step.refused,
            since_ms=_since(instance, triggered_ms(instance, step)),
            due_ms=timers.get(step.name),
            then=consequence(instance, step.name) if step.name in timers else None,
            attempt=_attempt(instance, notes, step.name, Direction.FORWARD),
            at_work_ms=instance.heartbeats.get(step.name),
        )


def _undos(instance: Instance, notes: Mapping[str, str]) -> Iterator[Awaited]:
    by_name, successors = instance.definition.by_name, instance.definition.successors
    for step in instance.definition.steps:
        epoch = instance.owed_epoch(step)
        if not epoch:
            if instance.phase is SagaStatus.COMPENSATING:
                after = (by_name[name] for name in successors[step.name])
                is_next = instance.needs_undo(step) and not any(map(instance.needs_undo, after))
            else:
                is_next = instance.phase is SagaStatus.RUNNING and instance.undo_beside(step)
            if not is_next:
                continue
        yield Awaited(
            kind=AwaitedKind.UNDO,
            step=step.name,
            service=step.service,
            events=() if step.undone is None else (step.undone,),
            since_ms=_since(instance, undoable_ms(instance, step, epoch)),
            epoch=epoch,
            attempt=_attempt(instance, notes, step.name, Direction.UNDO, epoch),
        )


def _since(instance: Instance, ms: int) -> int:
    """A resumption begins anew."""
    resumed = (fact.at_ms for fact in instance.facts.values() if fact.role is Role.RESUMED)
    return max((ms, *resumed))


def triggered_ms(instance: Instance, step: StepDefinition) -> int:
    """When what triggers a triggered step was recorded."""
    times = [instance.facts[one].at_ms for one in step.triggers if instance.accepts(one)]
    return min(times) if step.join is Join.ANY else max(times)


def undoable_ms(instance: Instance, step: StepDefinition, epoch: int) -> int:
    """When what the step's undo had to wait for was recorded; 0 for what can not be undone yet."""
    causes = [instance.facts.get(instance.turned_by or "")]
    if step.otherwise is not None and instance.turned_by is None:
        causes.append(instance.facts.get(step.otherwise))
    for fact in instance.facts.values():
        if fact.step in instance.definition.successors[step.name]:
            if fact.role is Role.UNDONE or fact.type == UNDO_FAILED:
                causes.append(fact)
        elif fact.step == step.name and fact.role is Role.AGAIN and fact.epoch == epoch:
            causes.append(fact)
    return max((fact.at_ms for fact in causes if fact is not None), default=0)


def _attempt(
    instance: Instance, notes: Mapping[str, str], step: str, direction: Direction, epoch: int = 0
) -> Attempt | None:
    name = retry_name(step, direction, epoch)
    note = attempt_note(notes, name, resumed=instance.resumptions)
    if note is None:
        return None
    return Attempt(
        failed=note.attempts,
        error=note.error,
        failed_at_ms=note.at_ms,
        due_ms=note.next_ms,
        elsewhere=note.elsewhere,
    )


def consequence(instance: Instance, timer: str) -> Then:
    """What happens when a timer of the instance that is set is due, unless something comes before."""
    due_ms = timers_of(instance)[timer]
    emission = decide_control(instance, TimerDue(timer, due_ms))
    if emission is None:
        return Then(Consequence.NOTHING)
    match emission.role:
        case Role.OTHERWISE:
            return Then(Consequence.GOES_ON, emission.type)
        case Role.PARKED:
            return Then(Consequence.PARKS, emission.type)
        case _:
            fact = Fact("then", emission.type, emission.step, emission.role, at_ms=due_ms)
            return Then(Consequence.TURNS_BACK, emission.type, undo_order(evolve(instance, fact)))


def undo_order(instance: Instance) -> tuple[str, ...]:
    """The steps that need undoing, from the frontier backwards."""
    left = [step.name for step in instance.definition.steps if instance.needs_undo(step)]
    order: list[str] = []
    while left:
        frontier = [one for one in left if not instance.definition.successors[one] & {*left}]
        order += frontier
        left = [one for one in left if one not in frontier]
    return tuple(order)


def missing_causes(instance: Instance) -> tuple[str, ...]:
    """Events that are not recorded although what they trigger is: they are under way, or lost."""
    found: dict[str, None] = {}
    for step in instance.definition.steps:
        if step.name == START:
            if step.done[0] not in instance.facts:
                found[step.done[0]] = None
        elif instance.resolved(step) and not step.waits and not instance.triggered(step):
            found.update(dict.fromkeys(one for one in step.triggers if one not in instance.facts))
    return tuple(found)
