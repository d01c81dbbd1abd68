"""The message that a task has in hand, for the log lines that are written meanwhile.

Owns the fields of those lines. They are put together when a line is written: most messages are handled
without one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar

from structlog.typing import EventDict, WrappedLogger

from sagas.core.definition import Direction
from sagas.core.enabled import Action

__all__ = ["acting", "add_message", "belonging", "have_in_hand"]

Fields = Callable[[], Mapping[str, object]]

_FIELDS: ContextVar[Fields | None] = ContextVar("sagas_in_hand", default=None)
_ACTION: ContextVar[tuple[Fields | None, Action] | None] = ContextVar("sagas_acting", default=None)
_TRAIL: ContextVar[tuple[Fields | None, Fields] | None] = ContextVar(
    "sagas_belonging", default=None
)
"""These two say of which message they are, so that the next one need not clear them."""


def have_in_hand(fields: Fields) -> None:
    """From now on the lines of this task, and of those that it starts, say which message it has."""
    _FIELDS.set(fields)


def belonging(fields: Fields) -> None:
    """From now on they say what travels with the saga, where the message in hand does not know it."""
    _TRAIL.set((_FIELDS.get(), fields))


def acting(action: Action) -> None:
    """From now on they say which step is in hand."""
    _ACTION.set((_FIELDS.get(), action))


def add_message(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A structlog processor: the fields of the message in hand, where the line does not say otherwise.

    ``configure_logs`` puts it in; whoever configures structlog themselves puts it first.
    """
    fields, said, trail = _FIELDS.get(), _ACTION.get(), _TRAIL.get()
    if said is not None and said[0] is fields:
        action = said[1]
        step = line.setdefault("step", action.step.name)
        if step == action.step.name and action.direction is Direction.UNDO:
            line.setdefault("direction", action.direction.value)
    belongs = None if trail is None or trail[0] is not fields else trail[1]
    for source in (belongs, fields):
        if source is not None:
            for name, value in source().items():
                line.setdefault(name, value)
    return line
