"""Sagas that were made by chance, and a next version of each into which the services are rolled."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from random import Random

from sagas.adapters.memory.journal import MemoryJournal
from sagas.change.finishing import finishing
from sagas.core.definition import Definition, StepDefinition, StepKind
from sagas.core.saga import Saga
from sagas.core.validation import problems
from sagas.testing.simulation import Setting
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.workloads.generated import saga_of, services_of

__all__ = ["rolling_workload"]


def rolling_workload(seed: int) -> Setting:
    """Workers of both versions can finish what either has begun."""
    definition, old, new = _built(seed)
    plans = random_plans(definition, seed, undos_fail=True)
    services = services_of(old, plans)
    return Setting(
        services=list(services.values()),
        next_services=list(services_of(new, plans).values()),
        resources={name: [MemoryJournal()] for name in services},
    )


@lru_cache(maxsize=400)
def _built(seed: int) -> tuple[Definition, type[Saga], type[Saga]]:
    chance = Random(f"rolling {seed}")
    for attempt in range(1_000):
        old = random_definition(seed + 1_000_000 * attempt, alternatives=seed % 2 > 0)
        new = _next(old, chance)
        if not problems(new) and new.fingerprint != old.fingerprint and _both_ways(old, new):
            return old, saga_of(old), saga_of(new)
    raise AssertionError(f"nothing fits the seed {seed}")


def _both_ways(old: Definition, new: Definition) -> bool:
    return all(
        finishing(one, other, states_max=2_000).can_finish
        for one, other in ((old, new), (new, old))
    )


def _next(old: Definition, chance: Random) -> Definition:
    """Other times and refusals; what is recorded means the same. Of a saga that began under the old version
    every deadline stays, also when its row is rebuilt under the new one (I13).
    """
    steps = (old.steps[0], *(_changed(old, step, chance) for step in old.steps[1:]))
    deadline_ms = None if old.deadline_ms is None else 3 * old.deadline_ms
    return replace(old, steps=steps, deadline_ms=deadline_ms)


def _changed(old: Definition, step: StepDefinition, chance: Random) -> StepDefinition:
    refused = step.refused
    if old.kinds[step.name] is StepKind.COMPENSATABLE and not step.waits and chance.random() < 0.5:
        refused = (*refused, f"svc.Odd{step.name.capitalize()}.v1")
    timeout_ms = step.timeout_ms
    if chance.random() < 0.5 and not step.waits:  # what has no time to answer in gets an answer
        timeout_ms = chance.choice([2_000, 9_000])
    return replace(step, refused=refused, timeout_ms=timeout_ms)
