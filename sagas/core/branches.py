"""Under which choices something can happen in a saga that branches.

Owns the algebra: a condition is a set of choices, each ``(step, event type)`` of a step that the saga can
leave in several ways; conditions are the alternatives. No alternative at all means never.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Condition", "Conditions", "chosen", "combined", "together"]

Condition = frozenset[tuple[str, str]]
Conditions = frozenset[Condition]

_ALWAYS: Conditions = frozenset({Condition()})


def chosen(conditions: Conditions, choice: tuple[str, str] | None) -> Conditions:
    """The conditions of a step, and of the way in which it is left; None if there is only one."""
    if choice is None:
        return conditions
    made = frozenset({choice})
    return frozenset(one | made for one in conditions if _compatible(one, made))


def combined(branches: Sequence[Conditions], *, merges: bool) -> Conditions:
    """What a step needs whose triggers happen on these branches: one of them if it merges, else all."""
    if merges:
        return Conditions().union(*branches)
    found = _ALWAYS
    for branch in branches:
        found = frozenset(
            left | right for left in found for right in branch if _compatible(left, right)
        )
    return found


def together(left: Iterable[Condition], right: Iterable[Condition]) -> bool:
    """Whether some choices of the one and of the other can be made in one instance."""
    return any(_compatible(one, other) for one in left for other in right)


def _compatible(left: Condition, right: Condition) -> bool:
    made = dict(left)
    return all(made.get(step, type_) == type_ for step, type_ in right)
