"""How results look: tables that fit the terminal, JSON documents for scripts, times in both.

Owns the two forms and nothing of what is in them, which may come from anywhere: no text moves a terminal's
cursor or counts as markup. Results go to standard output, all else to
standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sagas.core.printable import printable

__all__ = [
    "STATUS_STYLES",
    "console",
    "duration",
    "grid",
    "local_time",
    "print_json",
    "recent_time",
    "rfc3339",
    "status_text",
    "table",
]

STATUS_STYLES = {
    "RUNNING": "cyan",
    "COMPENSATING": "yellow",
    "PARKED": "bold red",
    "COMPLETED": "green",
    "COMPENSATED": "magenta",
    "FAILED": "bold red",
}

_MOMENT_MS_MAX = 250_000_000_000_000
"""Of the year 9892. A record may carry any time at all; one that has no date is shown by the nearest."""
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000


def console() -> Console:
    """Standard output as it is now: a test, or a pipe, may have replaced it."""
    return Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=False)


class _Table(Table):
    """Takes text as what it is: brackets are brackets, and what can not be printed is escaped."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """One more row."""
        fit = (
            Text(printable(cell, lines=True)) if isinstance(cell, str) else cell for cell in cells
        )
        super().add_row(*fit, **options)


def grid() -> Table:
    """Names and what is said of each, without lines."""
    made = _Table.grid(padding=(0, 2))
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    return made


def table(*columns: str, right: frozenset[str] = frozenset()) -> Table:
    """An empty table; long cells are folded, never cut off."""
    made = _Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    for column in columns:
        made.add_column(column, overflow="fold", justify="right" if column in right else "left")
    return made


def print_json(document: Mapping[str, object]) -> None:
    """One JSON document, readable, UTF-8. What can not be printed is escaped as JSON does it."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if not text.replace("\n", "").isprintable():
        text = "".join(
            one if one == "\n" or one.isprintable() else json.dumps(one)[1:-1] for one in text
        )
    sys.stdout.write(text + "\n")


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=STATUS_STYLES.get(status, ""))


def local_time(ms: int, *, milliseconds: bool = False) -> str:
    """A moment in the reader's time zone."""
    moment = _moment(ms).astimezone()
    if milliseconds:
        return f"{moment:%H:%M:%S}.{ms % 1000:03d}"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def recent_time(ms: int) -> str:
    """A moment in the reader's time zone: without the date if it is today's."""
    moment = _moment(ms).astimezone()
    today = moment.date() == datetime.now(UTC).astimezone().date()
    return f"{moment:%H:%M:%S}" if today else f"{moment:%Y-%m-%d %H:%M}"


def rfc3339(ms: int) -> str:
    """A moment in UTC, to the millisecond."""
    return f"{_moment(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(max(0, min(ms, _MOMENT_MS_MAX)) // 1000, UTC)


def duration(ms: int | None) -> str:
    """A span as people say it: ``12 ms``, ``3.4 s``, ``5 min 10 s``, ``2 h 3 min``, ``4 d 1 h``."""
    if ms is None:
        return ""
    if ms < _SECOND_MS:
        return f"{ms} ms"
    if ms < _MINUTE_MS:
        return f"{ms / _SECOND_MS:.1f} s"
    if ms < _HOUR_MS:
        return f"{ms // _MINUTE_MS} min {ms % _MINUTE_MS // _SECOND_MS} s"
    if ms < _DAY_MS:
        return f"{ms // _HOUR_MS} h {ms % _HOUR_MS // _MINUTE_MS} min"
    return f"{ms // _DAY_MS} d {ms % _DAY_MS // _HOUR_MS} h"
