"""Random sagas that the checks accept, and random plans for their steps."""

from __future__ import annotations

import random

from sagas.core.definition import START, Definition, Join, StepDefinition, StepKind
from sagas.core.validation import problems
from tests.simulation.model import Plan

__all__ = ["order_fulfilment", "random_definition", "random_plans"]


def random_definition(seed: int) -> Definition:
    """A valid definition of two to seven steps with joins, merges, choices and a pivot, by chance."""
    chance = random.Random(f"definition {seed}")
    while True:
        definition = _attempt(chance)
        if not problems(definition):
            return definition


def _attempt(chance: random.Random) -> Definition:
    services = [f"svc{n}" for n in range(chance.randint(1, 4))]
    pivot = chance.choice([None, 1, 2, 3, 4])
    undone = _undone("start") if chance.random() < 0.7 else None
    steps = [
        StepDefinition(name=START, service=services[0], done=("svc.Started.v1",), undone=undone)
    ]
    for number in range(1, chance.randint(2, 7)):
        name = f"s{number}"
        triggers, join = _triggers(chance, steps)
        done: tuple[str, ...] = (f"svc.Done{number}.v1",)
        if chance.random() < 0.15:
            done = (*done, f"svc.Other{number}.v1")
        step = StepDefinition(
            name=name,
            service=chance.choice(services),
            triggers=triggers,
            join=join,
            done=done,
            refused=(f"svc.Refused{number}.v1",) if chance.random() < 0.5 else (),
            undone=_undone(name) if chance.random() < 0.75 else None,
            pivot=number == pivot,
        )
        steps.append(_fitting(steps, step))
    return Definition("saga", "id", tuple(steps))


def _undone(name: str) -> str:
    return f"svc.Undone{name.capitalize()}.v1"


def _triggers(chance: random.Random, steps: list[StepDefinition]) -> tuple[tuple[str, ...], Join]:
    types = [type_ for step in steps for type_ in step.done]
    if len(types) > 1 and chance.random() < 0.35:
        return tuple(sorted(chance.sample(types, 2))), chance.choice([Join.ALL, Join.ANY])
    return (chance.choice(types[-3:]),), Join.ALL


def _fitting(steps: list[StepDefinition], step: StepDefinition) -> StepDefinition:
    """Without what its place in the saga forbids: most random steps would be refused otherwise."""
    kind = Definition("saga", "id", (*steps, step)).kinds[step.name]
    if kind is StepKind.COMPENSATABLE:
        return step
    return StepDefinition(
        name=step.name,
        service=step.service,
        triggers=step.triggers,
        join=step.join,
        done=step.done,
        refused=step.refused if kind is StepKind.PIVOT else (),
        pivot=step.pivot,
    )


def random_plans(definition: Definition, seed: int) -> dict[str, Plan]:
    """How each step ends: mostly done, some refused, a few failing for good."""
    chance = random.Random(f"plans {seed}")
    plans = {}
    for step in definition.steps[1:]:
        kind = chance.choices(["done", "refused", "failed"], [80, 12, 8])[0]
        if kind == "refused" and not step.refused:
            kind = "done"
        choices = step.refused if kind == "refused" else step.done
        choice = 0 if kind == "failed" else chance.randrange(len(choices))
        plans[step.name] = Plan(kind, choice, effect=chance.random() < 0.5)
    return plans


def order_fulfilment() -> Definition:
    """The reference saga."""
    from tests.samples import OrderFulfilment

    return OrderFulfilment.definition
