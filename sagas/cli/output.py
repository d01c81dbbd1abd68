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
from sagas.operating.moments import moment_of

__all__ = [
    "STATUS_STYLES",
    "console",
    "grid",
    "local_time",
    "print_json",
    "recent_time",
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
    moment = moment_of(ms).astimezone()
    if milliseconds:
        return f"{moment:%H:%M:%S}.{ms % 1000:03d}"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def recent_time(ms: int) -> str:
    """A moment in the reader's time zone: without the date if it is today's."""
    moment = moment_of(ms).astimezone()
    today = moment.date() == datetime.now(UTC).astimezone().date()
    return f"{moment:%H:%M:%S}" if today else f"{moment:%Y-%m-%d %H:%M}"
