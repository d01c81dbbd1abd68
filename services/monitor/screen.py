"""The views as tables for a terminal. What is in them may come from anywhere: no text moves the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sagas.core.printable import printable

__all__ = ["show"]

Json = Mapping[str, Any]


def show(views: Json, console: Console) -> None:
    """Print all views, each under its title."""
    if views["as_of"] is None:
        console.print("The topics are being read from their beginning.")
    else:
        behind = f"{_span(views['behind_ms'])} behind, {views['behind_records']} records to be read"
        console.print(f"As of {views['as_of']} ({behind}).")
    if views["left_out"]:
        said = ", ".join(f"{name} {count}" for name, count in views["left_out"].items())
        console.print(f"Left out since the monitor was started: {said}.")
    for title, table in _tables(views):
        if table.row_count:
            console.print()
            console.print(Text(title, style="bold"))
            console.print(table)


def _tables(views: Json) -> Iterator[tuple[str, Table]]:
    yield "Sagas", _sagas(views)
    yield "Latencies", _latencies(views["latencies"])
    yield "Objectives", _objectives(views["objectives"])
    stuck = views["stuck"]
    listed = len(stuck["longest"])
    more = "" if listed == stuck["count"] else f", the {listed} that are so for longest"
    yield f"Candidates for stuck sagas: {stuck['count']}{more}", _stuck(stuck["longest"])


def _sagas(views: Json) -> Table:
    table = _table("saga", "live", "ended", "began/s", "ended/s", right=("began/s", "ended/s"))
    for saga, counts in views["sagas"].items():
        rates = views["rates"][saga]
        speeds = (rates["started_per_s"], rates["ended_per_s"])
        told = (_counted(counts["live"]), _counted(counts["ended"]))
        table.add_row(saga, *told, *(f"{speed:.1f}" for speed in speeds))
    return table


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"


def _latencies(latencies: Json) -> Table:
    table = _table("saga", "what", "count", "p50", "p90", "p99", right=_NUMBERS)
    for saga, kinds in latencies.items():
        for words, kind in (("{}", "steps"), ("undo of {}", "undos"), ("to {}", "ends")):
            for name, one in kinds[kind].items():
                spans = (_span(one[rank]) for rank in ("p50_ms", "p90_ms", "p99_ms"))
                table.add_row(saga, words.format(name), str(one["count"]), *spans)
    return table


_NUMBERS = ("count", "p50", "p90", "p99")


def _span(ms: float) -> str:
    for unit, unit_ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= unit_ms:
            return f"{ms / unit_ms:.1f} {unit}"
    return f"{ms:.0f} ms"


def _objectives(objectives: Sequence[Json]) -> Table:
    table = _table("objective", "reached", "broken", "budget left", "burn rate", right=_OF_BUDGET)
    for one in objectives:
        what = "end" if one["step"] is None else one["step"]
        name = f"{one['saga']}: {one['ratio']:.3%} {what} within {one['within']} over {one['over']}"
        reached = "" if one["reached"] is None else f"{one['reached']:.3%}"
        left = Text(f"{one['budget_left']:.1%}", style="bold red" if one["budget_left"] < 0 else "")
        table.add_row(_cell(name), reached, str(one["broken"]), left, f"{one['burn_rate']:.2f}")
    return table


_OF_BUDGET = ("reached", "broken", "budget left", "burn rate")


def _stuck(longest: Sequence[Json]) -> Table:
    table = _table("saga", "id", "status", "since", "why")
    for one in longest:
        cells = (one["saga"], one["saga_id"], one["status"], one["since"] or "", one["reason"])
        table.add_row(*map(_cell, cells))
    return table


def _cell(text: str) -> RenderableType:
    return Text(printable(text))


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in right else "left")
    return table
