"""Everything that can happen to a saga next, and every state that it can reach.

Owns the walk: the very ``enabled``, ``decide`` and ``evolve`` that run in production, on an instance of which
only matters what is recorded. What is recorded counts as published, nothing is parked (who resumes stands
where the saga was parked), and the number of states is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sagas.core.decide import ActionResult, Emission, ResultKind, decide
from sagas.core.definition import (
    SAGA_CANCELLED,
    SAGA_PARKED,
    START,
    STEP_TIMED_OUT,
    Definition,
    Direction,
    Role,
    StepDefinition,
    StepKind,
)
from sagas.core.enabled import Action, enabled
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance, SagaStatus

__all__ = ["Move", "Walk", "actions", "began", "identity", "moves", "walk"]


class Move(NamedTuple):
    """One thing that can happen: the event that is recorded; ``action`` is what a service has run for it.

    ``asked`` is said of what nobody has to wait for, because only a person brings it about.
    """

    fact: Fact
    action: Action | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """``states`` in the order in which they were reached, shortest ways first; ``complete`` is false where
    the bound was reached.
    """

    states: tuple[Instance, ...]
    complete: bool


def began(definition: Definition) -> Instance:
    """An instance whose start is recorded."""
    start = definition.start
    fact = Fact("start", start.done[0], START, Role.DONE, published=True)
    return evolve(Instance(definition, "example"), fact)


def identity(instance: Instance) -> tuple[object, ...]:
    """What tells two states apart: not the order of events, nor their ids."""
    recorded = frozenset((slot, fact.assumed) for slot, fact in instance.facts.items())
    return instance.phase, instance.turned_by, instance.in_flight, recorded


def walk(definition: Definition, *, states_max: int) -> Walk:
    """Every state that an instance of the definition can reach, as far as the bound."""
    first = began(definition)
    found = {identity(first): first}
    waiting = deque([first])
    while waiting:
        instance = waiting.popleft()
        for move in moves(instance):
            after = evolve(instance, move.fact)
            key = identity(after)
            if key in found:
                continue
            if len(found) >= states_max:
                return Walk(tuple(found.values()), complete=False)
            found[key] = after
            waiting.append(after)
    return Walk(tuple(found.values()), complete=True)


def actions(instance: Instance) -> list[Action]:
    """What any service may run now."""
    return [
        action for service in instance.definition.services for action in enabled(instance, service)
    ]


def moves(instance: Instance, runs: Callable[[Action], bool] = lambda _: True) -> Iterator[Move]:
    """Everything that can happen next; of the actions only those that somebody ``runs``."""
    if instance.phase.is_terminal:
        return
    for action in actions(instance):
        if runs(action):
            yield from _outcomes(instance, action)
    for step in instance.definition.steps:
        if step.waits and instance.triggered(step) and not instance.resolved(step):
            yield from _answers(instance, step)
        if step.name in instance.in_flight and not instance.resolved(step) and not step.waits:
            yield from _late(step)
    if instance.phase is SagaStatus.RUNNING and not instance.past_pivot:
        emission = Emission(SAGA_CANCELLED, START, Role.CANCELLED, Direction.FORWARD)
        yield Move(_fact(emission), asked=True)


def _late(step: StepDefinition) -> Iterator[Move]:
    """What a step answers that was in flight when the saga turned back. Nobody waits for it."""
    for type_, role in step.outcomes:
        if role in {Role.DONE, Role.REFUSED}:
            yield Move(_fact(Emission(type_, step.name, role, Direction.FORWARD)), asked=True)


def _outcomes(instance: Instance, action: Action) -> Iterator[Move]:
    step = action.step
    if action.direction is Direction.UNDO:
        types: Iterable[str | None] = (step.undone,)
    else:
        types = (*step.done, *step.refused, *((step.otherwise,) if step.otherwise else ()))
    results = [ActionResult(ResultKind.RETURNED, type_) for type_ in types]
    for result in (*results, ActionResult(ResultKind.FAILED)):
        emission = decide(instance, action, result).emission
        if emission is not None and emission.type != SAGA_PARKED:
            yield Move(_fact(emission), action)


def _answers(instance: Instance, step: StepDefinition) -> Iterator[Move]:
    if instance.phase is not SagaStatus.RUNNING:
        return
    for type_ in step.done:
        yield Move(_fact(Emission(type_, step.name, Role.DONE, Direction.FORWARD)))
    for type_ in step.refused:
        yield Move(_fact(Emission(type_, step.name, Role.REFUSED, Direction.FORWARD)))
    if step.timeout_ms is None:
        return
    if step.otherwise is not None:
        yield Move(
            _fact(
                Emission(step.otherwise, step.name, Role.OTHERWISE, Direction.FORWARD, assumed=True)
            )
        )
    elif instance.definition.kinds[step.name] is StepKind.COMPENSATABLE and not instance.past_pivot:
        yield Move(_fact(Emission(STEP_TIMED_OUT, step.name, Role.FAILED, Direction.FORWARD)))


def _fact(emission: Emission) -> Fact:
    return Fact(
        f"{emission.type}/{emission.step}",
        emission.type,
        emission.step,
        emission.role,
        direction=emission.direction,
        published=True,
        assumed=emission.assumed,
        epoch=emission.epoch,
    )
