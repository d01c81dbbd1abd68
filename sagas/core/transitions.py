"""The transition table: what an arriving event does to a saga, for every situation and every arrival.

Owns the table and nothing else; ``evolve`` is its only reader in production. The documentation prints it
and the tests enumerate it. The rules in brackets are those of ``docs/concepts.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

__all__ = ["TRANSITIONS", "Arrival", "Effect", "Situation", "Transition", "render"]


class Situation(StrEnum):
    """Where a saga stands when an event arrives that is not recorded yet. Parking is orthogonal."""

    BEFORE_PIVOT = "running, no pivot triggered"
    PAST_PIVOT = "running, a pivot triggered"
    COMPENSATING = "compensating"
    ENDED = "ended"


class Arrival(StrEnum):
    """What the arriving event says."""

    DONE = "a step is done"
    REFUSED = "a step is refused"
    PIVOT_REFUSED = "the pivot is refused"
    FAILED = "a compensatable step failed for good"
    UNDONE = "a step is undone"
    PARKED = "the saga is parked"
    RESUMED = "the saga is resumed"


class Effect(StrEnum):
    """What happens to the saga. Everything but ABSORB records the event."""

    RECORD = "record"
    TURN_BACK = "record and compensate"
    PARK = "record and park"
    RESUME = "record and go on"
    ABSORB = "ignore"


class Transition(NamedTuple):
    """An effect and the reason for it."""

    effect: Effect
    why: str


_S, _A, _E = Situation, Arrival, Effect

TRANSITIONS: Mapping[tuple[Situation, Arrival], Transition] = {
    (_S.BEFORE_PIVOT, _A.DONE): Transition(_E.RECORD, "the way forward; it may complete the saga"),
    (_S.BEFORE_PIVOT, _A.REFUSED): Transition(
        _E.TURN_BACK, "a business no turns the saga back [8]"
    ),
    (_S.BEFORE_PIVOT, _A.PIVOT_REFUSED): Transition(
        _E.TURN_BACK, "the trigger is still under way to the table, the refusal stands [8]"
    ),
    (_S.BEFORE_PIVOT, _A.FAILED): Transition(
        _E.TURN_BACK, "the effect is unknown, so it is undone as well [8, 9]"
    ),
    (_S.BEFORE_PIVOT, _A.UNDONE): Transition(
        _E.TURN_BACK, "an effect is gone, so there was a decision to compensate [9]"
    ),
    (_S.BEFORE_PIVOT, _A.PARKED): Transition(_E.PARK, "an operator is needed [13]"),
    (_S.BEFORE_PIVOT, _A.RESUMED): Transition(_E.RESUME, "an operator has acted [13]"),
    (_S.PAST_PIVOT, _A.DONE): Transition(_E.RECORD, "the way forward; it may complete the saga"),
    (_S.PAST_PIVOT, _A.REFUSED): Transition(
        _E.RECORD, "past the point of no return only the pivot can refuse [12]"
    ),
    (_S.PAST_PIVOT, _A.PIVOT_REFUSED): Transition(
        _E.TURN_BACK, "the pivot says no: there was no point of no return [12]"
    ),
    (_S.PAST_PIVOT, _A.FAILED): Transition(
        _E.RECORD, "past the point of no return nothing is compensated [12]"
    ),
    (_S.PAST_PIVOT, _A.UNDONE): Transition(
        _E.RECORD, "past the point of no return nothing is compensated [12]"
    ),
    (_S.PAST_PIVOT, _A.PARKED): Transition(_E.PARK, "a retriable step needs an operator [13]"),
    (_S.PAST_PIVOT, _A.RESUMED): Transition(_E.RESUME, "an operator has acted [13]"),
    (_S.COMPENSATING, _A.DONE): Transition(
        _E.RECORD, "a step in flight took effect: its undo learns of the outcome [8]"
    ),
    (_S.COMPENSATING, _A.REFUSED): Transition(
        _E.RECORD, "a step in flight has no effect: nothing to undo; it may end the saga [8]"
    ),
    (_S.COMPENSATING, _A.PIVOT_REFUSED): Transition(
        _E.RECORD, "a pivot in flight has no effect; it may end the saga [8]"
    ),
    (_S.COMPENSATING, _A.FAILED): Transition(
        _E.RECORD, "the effect is unknown and is undone, as that of any step in flight [9]"
    ),
    (_S.COMPENSATING, _A.UNDONE): Transition(
        _E.RECORD, "the frontier moves back; the last one ends the saga [8]"
    ),
    (_S.COMPENSATING, _A.PARKED): Transition(
        _E.PARK, "a compensation failed for good: an operator is needed [13]"
    ),
    (_S.COMPENSATING, _A.RESUMED): Transition(_E.RESUME, "an operator has acted [13]"),
    **{
        (_S.ENDED, arrival): Transition(_E.ABSORB, "an ended saga absorbs everything")
        for arrival in _A
    },
}


def render() -> str:
    """The table as Markdown, one row per situation and arrival."""
    rows = ["| A saga that is … | and learns that … | does | because |", "|---|---|---|---|"]
    rows += [
        f"| {situation} | {arrival} | {transition.effect} | {transition.why} |"
        for (situation, arrival), transition in TRANSITIONS.items()
    ]
    return "\n".join(rows)
