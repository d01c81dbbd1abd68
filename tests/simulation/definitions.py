"""Random sagas that the checks accept, and random plans for their steps."""

from __future__ import annotations

import random

from sagas.core.definition import START, Definition, Join, StepDefinition, StepKind, UndoPolicy
from sagas.core.validation import problems
from tests.simulation.parts import Plan

__all__ = ["order_fulfilment", "random_definition", "random_plans"]


def random_definition(seed: int, *, alternatives: bool = False) -> Definition:
    """A valid definition of two to seven steps with joins, merges, choices and a pivot, by chance.

    With ``alternatives`` also with waits, otherwise events, timeouts and a deadline.
    """
    chance, policies = random.Random(f"definition {seed}"), random.Random(f"policies {seed}")
    while True:
        definition = _attempt(chance, policies, alternatives=alternatives)
        if not problems(definition):
            return definition


def _attempt(chance: random.Random, policies: random.Random, *, alternatives: bool) -> Definition:
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
        waits = alternatives and number != pivot and chance.random() < 0.2
        otherwise = alternatives and number != pivot and chance.random() < (0.6 if waits else 0.25)
        step = StepDefinition(
            name=name,
            service=chance.choice(services),
            triggers=triggers,
            join=join,
            done=done if not waits or chance.random() < 0.8 or not otherwise else (),
            refused=(f"svc.Refused{number}.v1",) if chance.random() < 0.5 else (),
            otherwise=f"svc.Without{number}.v1" if otherwise else None,
            undone=_undone(name) if chance.random() < 0.75 and not waits else None,
            pivot=number == pivot,
            waits=waits,
            timeout_ms=1000 if alternatives and chance.random() < 0.4 else None,
            if_undo_fails=policies.choice(list(UndoPolicy)) if alternatives else UndoPolicy.BLOCK,
        )
        steps.append(_fitting(steps, step))
    deadline_ms = 5000 if alternatives and chance.random() < 0.3 else None
    return Definition("saga", "id", tuple(steps), deadline_ms)


def _undone(name: str) -> str:
    return f"svc.Undone{name.capitalize()}.v1"


def _triggers(chance: random.Random, steps: list[StepDefinition]) -> tuple[tuple[str, ...], Join]:
    types = [t for step in steps for t in (*step.done, step.otherwise) if t is not None]
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
        otherwise=step.otherwise if step.waits else None,
        pivot=step.pivot,
        waits=step.waits,
        timeout_ms=step.timeout_ms,
    )


def random_plans(definition: Definition, seed: int, *, undos_fail: bool = False) -> dict[str, Plan]:
    """How each step ends: mostly done, some refused, a few failing for good, and if asked for its undo."""
    chance, undos = random.Random(f"plans {seed}"), random.Random(f"undos {seed}")
    plans = {}
    for step in definition.steps[1:]:
        kinds = ["done", "refused", "failed", "otherwise", "never"]
        kind = chance.choices(kinds, [76, 12, 8, 2, 2])[0]
        if (
            (kind == "refused" and not step.refused)
            or (kind == "otherwise" and (step.otherwise is None or step.waits))
            or (kind == "never" and not (step.waits and step.timeout_ms))
            or (kind == "failed" and step.waits)
        ):
            kind = "done"
        choices = step.refused if kind == "refused" else step.done
        choice = 0 if kind in {"failed", "otherwise"} else chance.randrange(len(choices) or 1)
        undo_fails = undos_fail and step.undone is not None and undos.random() < 0.15
        plans[step.name] = Plan(kind, choice, effect=chance.random() < 0.5, undo_fails=undo_fails)
    return plans


def order_fulfilment() -> Definition:
    """The reference saga."""
    from tests.samples import OrderFulfilment

    return OrderFulfilment.definition
