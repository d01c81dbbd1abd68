"""How results look: tables that fit the terminal, JSON documents for scripts, times in both.

Owns the two forms and nothing of what is in them, which may come from anywhere: no text moves a terminal's
cursor or counts as markup. Results go to standard output, all else to
standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
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
    "print_rows",
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


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    right: frozenset[str] = frozenset(),
) -> None:
    """A line for each row, its last cell in what room the others leave: ids are there to be copied.

    Where that is too little the last cell stands below its row, and nothing is cut off. A pipe has room.
    """
    cells = [[_fit(cell) for cell in row] for row in rows]
    out = console()
    if not out.is_terminal and not os.environ.get("COLUMNS"):
        out = Console(file=sys.stdout, highlight=False, markup=False, width=_PIPE_COLUMNS)
    heads = columns[:-1]
    widths = [max(len(head), *(row[at].cell_len for row in cells)) for at, head in enumerate(heads)]
    left = out.width - sum(width + 2 for width in widths)
    longest = max(len(columns[-1]), *(row[-1].cell_len for row in cells))
    if left >= min(_LAST_COLUMNS, longest):
        made = table(*columns, right=right)
        for column in made.columns[:-1]:
            column.no_wrap = True
        for row in cells:
            made.add_row(*row)
        out.print(made)
        return
    for row in cells:
        line = Text("  ", overflow="fold").join(cell for cell in row[:-1] if cell.plain)
        out.print(line)
        if row[-1].plain:
            out.print(Padding(row[-1], (0, 0, 0, 2)))


_LAST_COLUMNS, _PIPE_COLUMNS = 24, 500


def _fit(cell: str | Text) -> Text:
    return Text(printable(cell)) if isinstance(cell, str) else cell


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
