"""The screen of ``sagas top``, and the same for scripts. Owns what is left out where there is little room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sagas.cli.output import STATUS_STYLES, recent_time, table
from sagas.core.printable import printable
from sagas.operating.moments import rfc3339, span

if TYPE_CHECKING:
    from sagas.operating.explaining import ServiceFact
    from sagas.operating.overview import Overview, SagaCounts
    from sagas.operating.stuck import StuckList, StuckSaga

__all__ = ["document_of", "screen"]

_WIDE, _NARROW = 120, 100
_GAP, _LEAST = 2, 8
_IDLE = "idle longest"
_SHORT = {
    "RUNNING": "running",
    "COMPENSATING": "compens.",
    "PARKED": "parked",
    "COMPLETED": "completed",
    "COMPENSATED": "undone",
    "FAILED": "failed",
}
"""A status in a head of little width."""
_REASON_CHARS = 200
_BESIDE_ID = 44
"""What the other columns of a stuck saga need at least."""
_STUCK_LEAST = 3
"""So many of the stuck are shown, also where the services then fall off the screen."""
_HEADS = 8
"""So many lines the heads of the tables take, and what stands around the stuck ones."""


def screen(
    seen: Overview, namespace: str, *, width: int, height: int | None = None, problem: str = ""
) -> RenderableType:
    """All of it, the most important on top; what does not fit is left out and counted."""
    found = seen.stuck.found
    head = Text(
        f"{found:,} stuck" if found else "none stuck", style="bold red" if found else "green"
    )
    head.append(f"  sagas of {namespace} at {recent_time(seen.now_ms)}", style="not bold default")
    parts: list[RenderableType] = [head]
    if problem:
        parts.append(Text(printable(problem, chars_max=2 * width), style="bold red"))
    parts += [Text(), _sagas(seen, width), Text()]
    used = len(parts) + len(seen.sagas) + len(seen.services) + _HEADS
    room = None if height is None else max(_STUCK_LEAST, height - used)
    parts += _stuck(seen.stuck, seen.now_ms, width, room)
    return Group(*parts, Text(), _services(seen, width))


def _fitted(made: Table, gives_way: str, width: int) -> Table:
    """A table whose cells stay on one line, for a screen has so many; one column gets the width that the
    others leave.
    """
    needed = 0
    for column in made.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
        if str(column.header) != gives_way:
            column.min_width = max(len(str(one)) for one in (column.header, *column.cells))
            needed += column.min_width + _GAP
    for column in made.columns:
        if str(column.header) == gives_way:
            column.max_width = max(_LEAST, width - needed)
    return made


def _sagas(seen: Overview, width: int) -> RenderableType:
    if width < _NARROW:
        return Group(*(_saga_line(one, seen.now_ms) for one in seen.sagas))
    wide = width >= _WIDE
    names = [status if wide else _SHORT[status] for status in _SHORT]
    rates = ("started/s", "ended/s") if wide else ("+/s", "-/s")
    rows = table("saga", *names, *rates, _IDLE, right=frozenset({*names, *rates, _IDLE}))
    for one in seen.sagas:
        started = "" if one.started_per_s is None else f"{one.started_per_s:.1f}"
        rows.add_row(
            one.saga,
            *(_count(one, status) for status in _SHORT),
            started,
            f"{one.ended_per_s:.1f}",
            _idlest(one, seen.now_ms, wide=wide),
        )
    return _fitted(rows, "saga", width)


def _saga_line(one: SagaCounts, now_ms: int) -> Text:
    """Where a table has no room: what there is of each status, and the rates."""
    line = Text(f"{one.saga}: ", overflow="fold")
    for status, count in one.by_status.items():
        if count:
            line.append(f"{count:,} {status}  ", style=STATUS_STYLES[status])
    started = "?" if one.started_per_s is None else f"{one.started_per_s:.1f}"
    line.append(f"began {started}/s, ended {one.ended_per_s:.1f}/s")
    if one.idlest is not None:
        line.append(f", oldest change {_idlest(one, now_ms, wide=False)} ago")
    return line


def _count(one: SagaCounts, status: str) -> Text:
    count = one.by_status[status]
    return Text(f"{count:,}", style=STATUS_STYLES[status] if count else "dim")


def _idlest(one: SagaCounts, now_ms: int, *, wide: bool) -> str:
    if one.idlest is None:
        return ""
    idle = span(now_ms - one.idlest.changed_at_ms)
    return f"{one.idlest.saga_id} {idle}" if wide else idle


def _services(seen: Overview, width: int) -> Table:
    rows = table("service", "workers", "lag", "last error", right=frozenset({"workers", "lag"}))
    for one in seen.services:
        error = "" if one.last_error is None else printable(one.last_error, chars_max=2 * width)
        if one.error_at_ms is not None:
            error = f"{span(seen.now_ms - one.error_at_ms)} ago: {error}"
        rows.add_row(one.service, _workers(one), "?" if one.lag is None else f"{one.lag:,}", error)
    return _fitted(rows, "last error", width)


def _workers(one: ServiceFact) -> Text:
    if one.workers is None:
        return Text("?")
    if one.workers == 0:
        return Text("none", style="bold red")
    states = ", ".join(f"{count} {state}" for state, count in sorted(one.states.items()))
    return Text(states, style="yellow") if states else Text(str(one.workers))


def _stuck(stuck: StuckList, now_ms: int, width: int, room: int | None) -> Iterator[RenderableType]:
    counted = ", ".join(f"{count:,} {why.value}" for why, count in stuck.by_why.items())
    of = f"{stuck.looked_at:,} of " if not stuck.is_complete else ""
    among = f"{of}{stuck.unfinished:,} unfinished"
    if not stuck.found:
        yield Text(f"None is stuck ({among} looked at).")
        return
    yield Text(f"{stuck.found:,} stuck: {counted} ({among} looked at)", style="bold red")
    rows = table("id", "why", "for", "reason", right=frozenset({"for"}))
    lines = stuck.lines if room is None else stuck.lines[:room]
    for line in lines:
        rows.add_row(
            _id(line.listed.saga_id, max(12, width - _BESIDE_ID)),
            line.reason.why.value,
            span(now_ms - line.reason.since_ms),
            printable(_reason(line), chars_max=_REASON_CHARS),
        )
    if rows.row_count:
        yield _fitted(rows, "reason", width)
    if len(lines) < stuck.found:
        yield Text(f"and {stuck.found - len(lines):,} more: `sagas list --stuck`", style="dim")


def _id(saga_id: str, chars_max: int) -> str:
    """Whole while that leaves the reason some room: it is there to be copied."""
    shown = printable(saga_id)
    return shown if len(shown) <= chars_max else f"{shown[: chars_max - 1]}…"


def _reason(line: StuckSaga) -> str:
    return line.reason.sentence.text(recent_time)


def document_of(seen: Overview) -> dict[str, object]:
    """The same for scripts."""
    return {
        "at": rfc3339(seen.now_ms),
        "sagas": [
            {
                "saga": one.saga,
                "counts": dict(one.by_status),
                "unfinished": one.unfinished,
                "started_per_s": one.started_per_s,
                "ended_per_s": one.ended_per_s,
                "idle_longest": None
                if one.idlest is None
                else {
                    "id": one.idlest.saga_id,
                    "status": one.idlest.status,
                    "changed_at": rfc3339(one.idlest.changed_at_ms),
                },
            }
            for one in seen.sagas
        ],
        "services": [
            {
                "service": one.service,
                "workers": one.workers,
                "states": dict(one.states),
                "lag": one.lag,
                "last_error": one.last_error,
                "error_at": None if one.error_at_ms is None else rfc3339(one.error_at_ms),
            }
            for one in seen.services
        ],
        "stuck": {
            "found": seen.stuck.found,
            "by_why": {why.value: count for why, count in seen.stuck.by_why.items()},
            "looked_at": seen.stuck.looked_at,
            "unfinished": seen.stuck.unfinished,
            "sagas": [
                {
                    "id": line.listed.saga_id,
                    "saga": line.listed.saga,
                    "status": line.listed.status,
                    "why": line.reason.why.value,
                    "since": rfc3339(line.reason.since_ms),
                    "text": line.reason.sentence.text(rfc3339),
                }
                for line in seen.stuck.lines
            ],
        },
    }
