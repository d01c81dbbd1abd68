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
_ACTION: ContextVar[Action | None] = ContextVar("sagas_acting", default=None)
_TRAIL: ContextVar[Fields | None] = ContextVar("sagas_belonging", default=None)


def have_in_hand(fields: Fields) -> None:
    """From now on the lines of this task, and of those that it starts, say which message it has."""
    _FIELDS.set(fields)
    _TRAIL.set(None)
    _ACTION.set(None)


def belonging(fields: Fields) -> None:
    """From now on they say what travels with the saga, where the message in hand does not know it."""
    _TRAIL.set(fields)


def acting(action: Action) -> None:
    """From now on they say which step is in hand."""
    _ACTION.set(action)


def add_message(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A structlog processor: the fields of the message in hand, where the line does not say otherwise.

    ``configure_logs`` puts it in; whoever configures structlog themselves puts it first.
    """
    if (action := _ACTION.get()) is not None:
        step = line.setdefault("step", action.step.name)
        if step == action.step.name and action.direction is Direction.UNDO:
            line.setdefault("direction", action.direction.value)
    for source in (_TRAIL, _FIELDS):
        if (fields := source.get()) is not None:
            for name, value in fields().items():
                line.setdefault(name, value)
    return line
