"""A definition as a later one reads what it has recorded.

Owns that translation of names, for those who compare two definitions. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sagas.core.definition import Definition, StepDefinition

__all__ = ["as_read_by", "is_retired"]


def is_retired(step: StepDefinition, new: Definition) -> bool:
    """Whether a step of an older definition is gone, has no effect that could be missed, and all that it may
    have recorded is retired.
    """
    outcomes = [type_ for type_, _ in step.outcomes]
    gone = step.name not in new.by_name and step.undone is None
    return gone and all(type_ in new.retired for type_ in outcomes)


def as_read_by(new: Definition, old: Definition) -> Definition:
    """The old definition, with each former version of an event called what the new one makes of it."""
    if not new.upcasts:
        return old

    def now(types: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(new.current_of.get(type_, type_) for type_ in types))

    def one(type_: str | None) -> str | None:
        return None if type_ is None else new.current_of.get(type_, type_)

    def renamed(step: StepDefinition) -> StepDefinition:
        return replace(
            step,
            triggers=now(step.triggers),
            done=now(step.done),
            refused=now(step.refused),
            reads=now(step.reads),
            otherwise=one(step.otherwise),
            undone=one(step.undone),
        )

    return replace(old, steps=tuple(map(renamed, old.steps)), cancelled_by=one(old.cancelled_by))
