"""In which ways a saga can go forward: which steps are sure to have run, and which way leaves one out.

Exact, and exponential in the choices that bear on one question only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sagas.core.branches import Condition, Conditions, together
from sagas.core.definition import Definition, Join, StepDefinition

__all__ = ["certain", "certain_somewhere", "done_under", "uncovered", "ways_of"]


def ways_of(step: StepDefinition) -> tuple[str, ...]:
    """The events along which a saga can go on from a step."""
    return (*step.done, *(() if step.otherwise is None else (step.otherwise,)))


def certain(definition: Definition, step: StepDefinition, condition: Condition) -> frozenset[str]:
    """The steps that are done whenever ``step`` is triggered under these choices, without itself.

    A step that the saga went on without, along its otherwise event, is not done; a wait always is.
    """
    found: dict[str, frozenset[str]] = {}

    def before(one: StepDefinition) -> frozenset[str]:
        if one.name not in found:
            names: set[str] = set()
            for type_ in one.triggers:
                if one.join is Join.ALL or together([condition], definition.branches(type_)):
                    emitter = definition.by_name[definition.outcome_of[type_].step]
                    names |= before(emitter)
                    if emitter.waits or type_ != emitter.otherwise:
                        names.add(emitter.name)
            found[one.name] = frozenset(names)
        return found[one.name]

    return before(step)


def certain_somewhere(definition: Definition, step: StepDefinition) -> Iterator[frozenset[str]]:
    """For each combination of choices under which a step is triggered, what is certain before it."""
    return (certain(definition, step, condition) for condition in definition.conditions[step.name])


def done_under(definition: Definition, step: StepDefinition) -> Conditions:
    """The combinations of choices under which a step is done, not only triggered."""
    types = ways_of(step) if step.waits else step.done
    return Conditions().union(*(definition.branches(type_) for type_ in types))


def uncovered(
    definition: Definition, condition: Condition, covers: Iterable[Condition]
) -> Condition | None:
    """Choices that fit ``condition`` and none of ``covers``; None if one of them holds on every way."""
    fitting = [one for one in covers if together([condition], [one])]
    if any(one <= condition for one in fitting):
        return None
    if not fitting:
        return condition
    open_choices = (choice for one in fitting for choice in sorted(one - condition))
    step, _ = next(open_choices)
    for type_ in ways_of(definition.by_name[step]):
        way = uncovered(definition, condition | {(step, type_)}, fitting)
        if way is not None:
            return way
    return None
