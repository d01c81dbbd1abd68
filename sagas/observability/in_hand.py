"""The message that a task has in hand, for the log lines that are written meanwhile.

Owns the fields of those lines. They are put together when a line is written: most messages are handled
without one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar

from structlog.typing import EventDict, WrappedLogger

__all__ = ["add_message", "have_in_hand"]

Fields = Callable[[], Mapping[str, object]]

_FIELDS: ContextVar[Fields | None] = ContextVar("sagas_in_hand", default=None)


def have_in_hand(fields: Fields) -> None:
    """From now on the lines of this task, and of those that it starts, say which message it has."""
    _FIELDS.set(fields)


def add_message(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A structlog processor: the fields of the message in hand, where the line does not say otherwise.

    ``configure_logs`` puts it in; whoever configures structlog themselves puts it first.
    """
    fields = _FIELDS.get()
    if fields is not None:
        for name, value in fields().items():
            line.setdefault(name, value)
    return line
