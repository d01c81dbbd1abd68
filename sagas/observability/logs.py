"""Logs: structlog for what is ours, other libraries' loggers routed into the same lines.

Owns the form of a line: what is in it may come from anywhere, and neither ends the line, nor colours it, nor
is too odd to be written. Called once, in a process's ``main``; a library never configures logs.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from sagas.core.errors import SettingsError
from sagas.core.printable import printable
from sagas.observability.events import LogEvent
from sagas.observability.in_hand import add_message

__all__ = ["FORMATS", "LEVELS", "configure_logs", "plain_logs"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS = ("console", "json")

_FIRST = ("time", "level", "event")
_IDS = frozenset({"message_id", "causation_id", "correlation_id", "trace_id"})
_LIBRARIES_AT_LEAST = logging.WARNING
_AGAIN_AFTER_S = 10
_TEXTS_MAX = 1_000
"""So many texts are known; a library that makes up new ones must not fill the memory."""


def configure_logs(
    level: str = "INFO",
    format: str = "console",  # noqa: A002 - what everybody calls it
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process to ``stream`` (standard error), from ``level`` upwards.

    ``json`` is one object per line with ``time`` (RFC 3339, UTC), ``level`` and ``event`` first;
    ``console`` is for people. Fields bound with ``structlog.contextvars`` are in every line.
    Loggers of libraries (aiokafka, redis, uvicorn) appear from WARNING on as ``library.message``.
    Safe to repeat. Raises SettingsError for an unknown level or format.
    """
    if level.upper() not in LEVELS:
        raise SettingsError(f"The log level is {level!r}; use one of {', '.join(LEVELS)}.")
    if format not in FORMATS:
        raise SettingsError(f"The log format is {format!r}; use one of {', '.join(FORMATS)}.")
    target = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_message,
        structlog.processors.add_log_level,
        _time_stamper(format),
    ]
    ending = _ending(format, colors=target.isatty(), short=number > logging.DEBUG)
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    _route_libraries(target, max(number, _LIBRARIES_AT_LEAST), shared, ending)


def _time_stamper(format: str) -> Processor:  # noqa: A002
    if format == "json":
        return structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")
    return structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False, key="time")


@contextmanager
def plain_logs() -> Iterator[None]:
    """Lines for people, tracebacks without boxes and locals, where nothing else is configured."""
    if not _is_as_imported():
        yield
        return
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_message,
            structlog.processors.add_log_level,
            _time_stamper("console"),
            *_ending("console", colors=False, short=True),
        ]
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


def _is_as_imported() -> bool:
    """Whether nobody has chosen how logs look. Whoever only captured them (``structlog.testing``) has put
    structlog's own processors back, and left it "configured".
    """
    if not structlog.is_configured():
        return True
    return _AS_IMPORTED is not None and structlog.get_config()["processors"] == _AS_IMPORTED


_AS_IMPORTED = None if structlog.is_configured() else [*structlog.get_config()["processors"]]


def _ending(format: str, *, colors: bool, short: bool) -> list[Processor]:  # noqa: A002
    if format == "json":
        return [
            structlog.processors.format_exc_info,
            _printable,
            _in_order,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    return [
        *((_without_ids,) if short else ()),
        _printable,
        structlog.dev.ConsoleRenderer(
            colors=colors,
            timestamp_key="time",
            pad_event_to=20,
            exception_formatter=_traceback,
        ),
    ]


def _without_ids(_logger: WrappedLogger, _name: str, fields: EventDict) -> EventDict:
    """A line that a person reads at once; who searches by these ids reads JSON, or DEBUG."""
    return {name: value for name, value in fields.items() if name not in _IDS}


def _printable(_logger: WrappedLogger, _name: str, fields: EventDict) -> EventDict:
    """A forged line is none: line breaks stay where a traceback has them."""
    return {
        name: printable(value, lines=name in _OF_LINES) if isinstance(value, str) else value
        for name, value in fields.items()
    }


_OF_LINES = frozenset({"exception", "stack"})


def _traceback(out: TextIO, error: ExcInfo) -> None:
    """Without boxes and locals. What an error says is its author's."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, error)
    out.write(printable(text.getvalue(), lines=True))


def _in_order(_logger: WrappedLogger, _name: str, fields: EventDict) -> EventDict:
    return {name: fields[name] for name in _FIRST if name in fields} | {
        name: value for name, value in fields.items() if name not in _FIRST
    }


def _json(fields: EventDict, **_options: Any) -> str:
    """Whatever a handler binds is written somehow: a log line never raises."""
    try:
        return to_json(fields, fallback=repr, inf_nan_mode="strings").decode()
    except ValueError:  # of text deep inside that no encoding can hold
        shown = {name: printable(repr(value)) for name, value in fields.items()}
        return to_json(shown).decode()


def _route_libraries(
    target: TextIO, level: int, shared: Sequence[Processor], ending: Sequence[Processor]
) -> None:
    """One handler at the root: the standard library's records become lines of the same form."""
    handler = logging.StreamHandler(target)
    handler.addFilter(_NotAgain())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _named],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


class _NotAgain(logging.Filter):
    """Lets the same text of a library pass once in ten seconds, with how often it was held back.

    aiokafka tells of a broker that is away up to 160 times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is told; by the record's own time."""
        told = (record.name, record.getMessage())
        since, times = self._told.get(told, (None, 0))
        if since is not None and 0 <= record.created - since < _AGAIN_AFTER_S:
            self._told[told] = (since, times + 1)
            return False
        if len(self._told) >= _TEXTS_MAX:
            self._told.clear()
        self._told[told] = (record.created, 0)
        record.repeated = times
        return True


def _named(_logger: WrappedLogger, _name: str, fields: EventDict) -> EventDict:
    """A library's text is no event name: it goes to ``message``."""
    record = fields.get("_record")
    fields["message"] = fields["event"]
    fields["event"] = LogEvent.LIBRARY_MESSAGE.value
    fields["logger"] = getattr(record, "name", "root")
    if repeated := getattr(record, "repeated", 0):
        fields["repeated"] = repeated
    return fields
