"""The closed sets of words in which a choreography is told: kinds, policies, directions, joins, roles."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Direction", "Join", "Role", "StepKind", "UndoPolicy"]


class StepKind(StrEnum):
    """Where a step stands relative to the point of no return."""

    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"


class UndoPolicy(StrEnum):
    """What follows when a step's compensation fails for good (rule 13)."""

    BLOCK = "block"
    """The saga is parked until somebody has mended what failed."""
    CONTINUE = "continue"
    """The others are undone all the same; the saga ends as FAILED, and says what is left."""
    ESCALATE = "escalate"
    """As BLOCK; and the event that parks the saga says that somebody has to be called."""


class Direction(StrEnum):
    """A step is performed forward, or its effect is undone."""

    FORWARD = "forward"
    UNDO = "undo"


class Join(StrEnum):
    """How several triggers of one step combine: all must be there, or one of exclusive ones."""

    ALL = "all"
    ANY = "any"


class Role(StrEnum):
    """What a recorded event says about its step."""

    DONE = "done"
    REFUSED = "refused"
    OTHERWISE = "otherwise"
    FAILED = "failed"
    UNDONE = "undone"
    CANCELLED = "cancelled"
    PARKED = "parked"
    RESUMED = "resumed"
    UNDO_FAILED = "undo-failed"
    AGAIN = "again"
    CONTROL = "control"
    """No event of the saga, but what a timer or an operator asks for: never recorded."""
    WAKE = "wake"
    """As CONTROL; and whoever handles it also runs what is enabled for it, and emits what is unproven."""
