"""Ways to break a declaration, each certain to be a defect: what comes out must be refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from sagas.core.definition import START, Definition, Join, StepDefinition, StepKind

__all__ = ["BREAKS"]

Break = Callable[[Definition, random.Random], Definition | None]
"""The broken definition; None if this one can not be broken in this way."""


def _with(definition: Definition, old: StepDefinition, new: StepDefinition) -> Definition:
    steps = tuple(new if step is old else step for step in definition.steps)
    return Definition(definition.saga, definition.key, steps, definition.deadline_ms)


def _chosen(
    definition: Definition, chance: random.Random, kinds: frozenset[StepKind] | None = None
) -> StepDefinition | None:
    steps = [
        step
        for step in definition.steps[1:]
        if kinds is None or definition.kinds[step.name] in kinds
    ]
    return chance.choice(steps) if steps else None


def _nobody_emits(definition: Definition, chance: random.Random) -> Definition | None:
    step = _chosen(definition, chance)
    return (
        None if step is None else _with(definition, step, replace(step, triggers=("svc.Never.v1",)))
    )


def _two_emit(definition: Definition, chance: random.Random) -> Definition | None:
    one = _chosen(definition, chance)
    others = [step for step in definition.steps if step is not one and step.done]
    if one is None or not one.done:
        return None
    return _with(definition, one, replace(one, done=chance.choice(others).done))


def _in_a_circle(definition: Definition, chance: random.Random) -> Definition | None:
    """A step waits for what one of its successors emits."""
    found = [
        (step, later)
        for step in definition.steps[1:]
        for name in sorted(definition.successors[step.name])
        if (later := definition.by_name[name]).done
    ]
    if not found:
        return None
    step, later = chance.choice(found)
    return _with(definition, step, replace(step, triggers=later.done[:1], join=Join.ALL))


def _too_late_to_refuse(definition: Definition, chance: random.Random) -> Definition | None:
    if not definition.pivots:
        return None
    step = _chosen(definition, chance, frozenset({StepKind.RETRIABLE}))
    return (
        None
        if step is None
        else _with(definition, step, replace(step, refused=("svc.TooLate.v1",)))
    )


def _two_pivots(definition: Definition, chance: random.Random) -> Definition | None:
    """Another pivot on the path that has one already."""
    found = [
        definition.by_name[name]
        for pivot in definition.pivots
        for name in sorted(definition.successors[pivot.name])
        if not definition.by_name[name].waits
    ]
    if not found:
        return None
    step = chance.choice(found)
    return _with(definition, step, replace(step, pivot=True))


def _join_of_exclusives(definition: Definition, chance: random.Random) -> Definition | None:
    """A step waits for both outcomes of a choice."""
    choices = [step for step in definition.steps if len(step.done) > 1]
    step = _chosen(definition, chance)
    if not choices or step is None or step in choices:
        return None
    choice = chance.choice(choices)
    if choice.name in definition.successors[step.name]:
        return None
    return _with(definition, step, replace(step, triggers=choice.done[:2], join=Join.ALL))


def _nameless_key(definition: Definition, _: random.Random) -> Definition | None:
    return Definition(definition.saga, "", definition.steps, definition.deadline_ms)


def _start_twice(definition: Definition, chance: random.Random) -> Definition | None:
    step = _chosen(definition, chance)
    return None if step is None else _with(definition, step, replace(step, name=START))


def _wait_for_ever(definition: Definition, chance: random.Random) -> Definition | None:
    """A wait that nobody can answer and whose time is never up."""
    steps = [step for step in definition.steps if step.waits and step.otherwise]
    if not steps:
        return None
    step = chance.choice(steps)
    return _with(definition, step, replace(step, done=(), refused=(), timeout_ms=None))


BREAKS: Final[Mapping[str, Break]] = {
    "a trigger that nobody emits": _nobody_emits,
    "two steps with one event": _two_emit,
    "steps in a circle": _in_a_circle,
    "a refusal past the pivot": _too_late_to_refuse,
    "two pivots on a path": _two_pivots,
    "a join of exclusive branches": _join_of_exclusives,
    "no key": _nameless_key,
    "two starts": _start_twice,
    "a wait without an end": _wait_for_ever,
}
