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
    TURNED_BACK = "ended after it had turned back"
    COMPLETED = "completed"


class Arrival(StrEnum):
    """What the arriving event says."""

    DONE = "a step is done"
    REFUSED = "a step is refused"
    PIVOT_REFUSED = "the pivot is refused"
    OTHERWISE = "the saga goes on without a step"
    FAILED = "a compensatable step failed for good, or its time is up"
    UNDONE = "a step is undone"
    UNDONE_BESIDE = "a step that the saga went on without is undone"
    CANCELLED = "the saga is cancelled, or its deadline has passed"
    PARKED = "the saga is parked"
    RESUMED = "the saga is resumed"
    UNDO_FAILED = "a compensation failed for good, and the others go on"
    UNDONE_LATE = "a step is undone whose compensation was given up"
    AGAIN = "a compensation is to be run once more"
    UNDONE_AGAIN = "a compensation was run once more, or failed once more"


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


def _row(situation: Situation, **cells: tuple[Effect, str]) -> _Rows:
    return {
        (situation, Arrival[name]): Transition(effect, why) for name, (effect, why) in cells.items()
    }


_Rows = dict[tuple[Situation, Arrival], Transition]
_FORWARD = (Effect.RECORD, "the way forward; it may complete the saga")
_PARK = (Effect.PARK, "an operator is needed [13]")
_RESUME = (Effect.RESUME, "an operator has acted [13]")
_BESIDE = (Effect.RECORD, "its undo went on beside the saga; it may end it [9a]")
_TOO_LATE = (Effect.RECORD, "past the point of no return nothing is compensated [12]")

_NOT_UNDONE = (Effect.ABSORB, "nothing was undone that could be undone once more [14]")
_AGAIN = (Effect.RECORD, "the step's service runs it under the new epoch; the rest stays [14]")
_ONCE_MORE = (Effect.RECORD, "it says how that run ended; the rest stays [14]")

TRANSITIONS: Mapping[tuple[Situation, Arrival], Transition] = {
    **_row(
        Situation.BEFORE_PIVOT,
        DONE=_FORWARD,
        REFUSED=(Effect.TURN_BACK, "a business no turns the saga back [8]"),
        PIVOT_REFUSED=(
            Effect.TURN_BACK,
            "the trigger is still under way to the table, the refusal stands [8]",
        ),
        OTHERWISE=(Effect.RECORD, "the saga goes on along it; the step is undone beside [9a]"),
        FAILED=(Effect.TURN_BACK, "the effect is unknown, so it is undone as well [8, 9]"),
        UNDONE=(Effect.TURN_BACK, "an effect is gone, so there was a decision to compensate [9]"),
        UNDONE_BESIDE=_BESIDE,
        CANCELLED=(Effect.TURN_BACK, "there is still a way back [8]"),
        PARKED=_PARK,
        RESUMED=_RESUME,
        UNDO_FAILED=(Effect.TURN_BACK, "there was a decision to compensate [9, 13]"),
        UNDONE_LATE=(Effect.TURN_BACK, "an effect is gone, so there was that decision [9]"),
        AGAIN=_NOT_UNDONE,
        UNDONE_AGAIN=(Effect.TURN_BACK, "an effect is gone, so there was that decision [9]"),
    ),
    **_row(
        Situation.PAST_PIVOT,
        DONE=_FORWARD,
        REFUSED=(Effect.RECORD, "past the point of no return only the pivot can refuse [12]"),
        PIVOT_REFUSED=(Effect.TURN_BACK, "the pivot says no: there was no such point [12]"),
        OTHERWISE=(Effect.RECORD, "the saga goes on along it; the step is undone beside [9a]"),
        FAILED=_TOO_LATE,
        UNDONE=_TOO_LATE,
        UNDONE_BESIDE=_BESIDE,
        CANCELLED=(Effect.ABSORB, "too late: there is no way back [12]"),
        PARKED=(Effect.PARK, "a retriable step needs an operator [13]"),
        RESUMED=_RESUME,
        UNDO_FAILED=_TOO_LATE,
        UNDONE_LATE=_TOO_LATE,
        AGAIN=_NOT_UNDONE,
        UNDONE_AGAIN=_TOO_LATE,
    ),
    **_row(
        Situation.COMPENSATING,
        DONE=(Effect.RECORD, "a step in flight took effect: its undo learns of the outcome [8]"),
        REFUSED=(
            Effect.RECORD,
            "a step in flight has no effect: nothing to undo; it may end the saga [8]",
        ),
        PIVOT_REFUSED=(Effect.RECORD, "a pivot in flight has no effect; it may end the saga [8]"),
        OTHERWISE=(Effect.ABSORB, "there is no going on; the step is undone as in flight [9a]"),
        FAILED=(Effect.RECORD, "the effect is unknown and is undone, as any in flight [9]"),
        UNDONE=(Effect.RECORD, "the frontier moves back; the last one ends the saga [8]"),
        UNDONE_BESIDE=(Effect.RECORD, "the frontier moves back; the last one ends the saga [8]"),
        CANCELLED=(Effect.ABSORB, "it is on its way back already"),
        PARKED=(Effect.PARK, "a compensation failed for good: an operator is needed [13]"),
        RESUMED=_RESUME,
        UNDO_FAILED=(Effect.RECORD, "it stays in the ledger; the frontier moves back [13]"),
        UNDONE_LATE=(Effect.RECORD, "it is struck from the ledger [13]"),
        AGAIN=_AGAIN,
        UNDONE_AGAIN=_ONCE_MORE,
    ),
    **{
        (Situation.TURNED_BACK, arrival): Transition(Effect.ABSORB, "the saga has ended")
        for arrival in Arrival
    },
    **_row(
        Situation.TURNED_BACK,
        UNDONE_LATE=(Effect.RECORD, "it is struck from the ledger; the end stays [13]"),
        AGAIN=_AGAIN,
        UNDONE_AGAIN=_ONCE_MORE,
    ),
    **{
        (Situation.COMPLETED, arrival): Transition(Effect.ABSORB, "the saga has ended")
        for arrival in Arrival
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
