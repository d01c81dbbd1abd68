"""What is said at the end of a run: the figures, two sagas as timelines, and the books."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import quantiles

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.screen import COLOURS
from demo.watch import Watch
from demo.workload import Workload
from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.application import SagaView
from sagas.core.definition import Role

__all__ = ["books", "summary", "timeline"]

_PATIENCE_MS = OrderFulfilment.definition.by_name["confirm_receipt"].timeout_ms
_STYLES = {Role.REFUSED: "red", Role.FAILED: "red", Role.UNDONE: "yellow"}


def summary(watch: Watch, work: Workload, console: Console) -> list[str]:
    """Print the figures; return what differs from what the seed has decided."""
    ends = Counter(watch.ended.values())
    table = Table(title="Summary", title_justify="left", show_header=False, min_width=60)
    placed = sum(watch.by_state.values())
    table.add_row("orders placed", str(placed))
    table.add_row(Text("COMPLETED", COLOURS["COMPLETED"]), str(ends["COMPLETED"]))
    planned = f"by the seed {work.declined} declined, {work.short} out of stock"
    refused = f"{ends['COMPENSATED']} ({planned})"
    table.add_row(Text("COMPENSATED", COLOURS["COMPENSATED"]), refused)
    patience = f"{timedelta(milliseconds=_PATIENCE_MS or 0).days} days"
    receipts = f"{len(watch.confirmed)}; of who says nothing it is assumed after {patience}"
    table.add_row("receipts confirmed", receipts)
    for status in sorted(ends.keys() - {"COMPLETED", "COMPENSATED"}):
        table.add_row(Text(status, "red"), str(ends[status]))
    table.add_row("elapsed", f"{watch.elapsed_s:.1f} s, {watch.rate:.0f} sagas/s")
    if len(watch.durations_s) > 1:
        cuts = quantiles(watch.durations_s, n=20)
        table.add_row("from placed to ended", f"p50 {cuts[9]:.2f} s, p95 {cuts[18]:.2f} s")
    console.print("", table)
    if not watch.all_ended.is_set():
        left = ", ".join(f"{count} {state}" for state, count in watch.by_state.items())
        missing = len(work.orders) - len(watch.ended)
        return [f"{missing} of {len(work.orders)} sagas have not ended in time: {left}."]
    expected = work.declined + work.short
    if ends["COMPENSATED"] != expected:
        return [f"{ends['COMPENSATED']} sagas were compensated; by the seed it is {expected}."]
    return []


def timeline(view: SagaView, console: Console) -> None:
    """Print what happened in one saga: who said what, when, and how long after its cause."""
    status = Text(view.status, COLOURS.get(view.status, "cyan"))
    title = Text.assemble("Saga ", (view.saga_id, "bold"), ": ", status)
    table = Table(title=title, title_justify="left", min_width=60)
    for heading in ("service", "event", "time"):
        table.add_column(heading)
    table.add_column("duration", justify="right")
    for entry in view.timeline:
        took = "" if entry.since_cause_ms is None else f"{entry.since_cause_ms} ms"
        at = datetime.fromtimestamp(entry.time_ms / 1000, UTC)
        event = entry.event.split(".")[1]
        table.add_row(
            entry.service,
            Text(event, _STYLES.get(entry.role, "")),
            f"{at:%H:%M:%S}.{entry.time_ms % 1000:03}",
            took,
        )
    console.print("", table)


def books(findings: list[str], console: Console) -> None:
    """Print whether the books balance."""
    console.print("")
    if not findings:
        console.print("[green]✓[/] Stock and money add up; every effect happened once.")
        return
    console.print("[red]✗ The books do not balance:[/]")
    for finding in findings:
        console.print(f"  - {finding}", markup=False, soft_wrap=True)
