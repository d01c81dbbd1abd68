"""``sagas show``: one saga, what happened in it, and what it waits for."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.listing import chosen_sagas
from sagas.cli.options import Output, OutputOption, ProjectOption, SagaOption, TimeoutOption
from sagas.core.instance import SagaStatus
from sagas.core.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from sagas.operating.lookup import Found
    from sagas.runtime.views import SagaView, TimelineEntry

__all__ = ["show"]


def show(
    *,
    saga_id: Annotated[
        str, typer.Argument(metavar="SAGA_ID", help="The business key, such as an order's id.")
    ],
    saga: SagaOption = None,
    payloads: Annotated[
        bool, typer.Option("--payloads", help="Show what each event carries.")
    ] = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Show one saga: its status, its timeline, what it waits for or why it turned back, its timers.

    For a parked saga, also the commands that could mend it.

    Example: [bold]sagas show o-1042 --payloads[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import open_table, read_settings
    from sagas.operating.lookup import find_saga

    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)

    async def look() -> Found:
        async with open_table(settings, timeout) as table:
            return await find_saga(table, sagas, saga_id, settings.namespace)

    found = asyncio.run(look())
    if output is Output.JSON:
        _print_json(found, payloads=payloads)
    else:
        _print_tables(found, payloads=payloads)


def _view(found: Found) -> SagaView:
    from sagas.runtime.views import view_of

    return view_of(found.saga.definition, found.saga_id, found.row)


def _print_json(found: Found, *, payloads: bool) -> None:
    from sagas.cli.output import print_json
    from sagas.cli.timers import json_of
    from sagas.operating.mending import mends_of
    from sagas.operating.moments import rfc3339
    from sagas.operating.timers import lines_of
    from sagas.operating.words import reason_of, retrying_json, waiting_json

    view, deadline_ms = _view(found), found.instance.deadline_ms
    reason = reason_of(view)
    mends = mends_of(found.instance, found.saga, several=found.several)
    timeline = [
        {
            "event": entry.event,
            "step": entry.step,
            "role": entry.role.value,
            "service": entry.service,
            "time": rfc3339(entry.time_ms),
            "since_cause_ms": entry.since_cause_ms,
            **({"epoch": entry.epoch} if entry.epoch else {}),
            **({"payload": _payload(entry), "kept": entry.payload is not None} if payloads else {}),
        }
        for entry in view.timeline
    ]
    print_json(
        {
            "id": view.saga_id,
            "saga": view.saga,
            "status": view.status.value,
            "state": view.state,
            "version": view.version,
            "generation": view.generation,
            "waits_for": waiting_json(view),
            "retrying": [
                retrying_json(one, found.saga.retries[one.step].attempts) for one in view.retrying
            ],
            "reason": None if reason is None else reason.as_json(),
            "outstanding": [
                {
                    "step": one.step,
                    "service": one.service,
                    "known": one.is_known,
                    "error": one.error,
                }
                for one in view.outstanding
            ],
            "deadline": None if deadline_ms is None else rfc3339(deadline_ms),
            "timers": list(map(json_of, lines_of(found.instance))),
            "mend": [{"command": mend.command, "does": mend.does} for mend in mends],
            "timeline": timeline,
        }
    )


def _payload(entry: TimelineEntry) -> object:
    if entry.payload is None:
        return None
    try:
        return json.loads(entry.payload)
    except (ValueError, RecursionError):
        return entry.payload.decode(errors="replace")


def _print_tables(found: Found, *, payloads: bool) -> None:
    from sagas.cli.output import console, local_time, table
    from sagas.operating.moments import duration

    out, view = console(), _view(found)
    _print_head(out, found, view)
    _print_ledger(out, view)
    _print_timers(out, found)
    _print_mends(out, found)
    rows = table("time", "after", "service", "step", "event", right=frozenset({"after"}))
    one_day = len({local_time(entry.time_ms)[:10] for entry in view.timeline}) == 1
    for entry in view.timeline:
        rows.add_row(
            local_time(entry.time_ms, milliseconds=one_day),
            duration(entry.since_cause_ms),
            entry.service,
            f"{entry.step} (epoch {entry.epoch})" if entry.epoch else entry.step,
            _event(entry, payloads=payloads),
        )
    out.print()
    out.print(rows)


def _print_ledger(out: Console, view: SagaView) -> None:
    """What is left of a saga that turned back."""
    from sagas.cli.output import table

    rows = table("left to undo", "service", "effect", "its undo failed with")
    for one in view.outstanding:
        known = "took place" if one.is_known else "not known"
        rows.add_row(one.step, one.service, known, one.error or "")
    if rows.row_count:
        out.print()
        out.print(rows)


def _print_timers(out: Console, found: Found) -> None:
    from sagas.cli.output import local_time, table
    from sagas.cli.timers import due_words
    from sagas.operating.timers import lines_of

    rows = table("timer", "due", "", "then")
    for line in lines_of(found.instance):
        rows.add_row(line.timer, local_time(line.due_ms), due_words(line.due_ms), line.then)
    if rows.row_count:
        out.print()
        out.print(rows)


def _print_mends(out: Console, found: Found) -> None:
    """Each command on one line however long it is, to be copied."""
    from sagas.operating.mending import mends_of

    mends = mends_of(found.instance, found.saga, several=found.several)
    if mends:
        out.print("\nOnce what failed is mended:", style="bold")
    for mend in mends:
        out.print(f"  {mend.command}  # {mend.does}", markup=False, soft_wrap=True)


_FORGOTTEN = "(not in the table any more: the topics have it)"


def _event(entry: TimelineEntry, *, payloads: bool) -> Text:
    from rich.text import Text

    text = Text(printable(entry.event))
    if entry.written:
        text.append(f" (told as {printable(entry.written)})", style="dim")
    if payloads:
        shown = _FORGOTTEN
        if entry.payload is not None:
            shown = printable(json.dumps(_payload(entry), ensure_ascii=False))
        text.append(f"\n{shown}", style="dim")
    return text


def _print_head(out: Console, found: Found, view: SagaView) -> None:
    from sagas.cli.output import grid, local_time, status_text
    from sagas.cli.timers import due_words
    from sagas.operating.words import awaited_words, reason_of, retrying_words

    head = grid()
    head.add_row("saga", f"{view.saga} {view.saga_id}")
    head.add_row("status", status_text(view.status.value))
    if view.state is not None:
        head.add_row("state", view.state)
    if view.timeline:
        head.add_row("started", local_time(min(entry.time_ms for entry in view.timeline)))
    reason, parked = reason_of(view), view.status is SagaStatus.PARKED
    if reason is not None:
        head.add_row("parked because" if parked else "turned back because", reason.text)
    if view.status is SagaStatus.FAILED and not view.outstanding:
        head.add_row("left to undo", "nothing any more")
    if view.waits_for and not view.has_ended:
        head.add_row("stopped at" if parked else "waits for", awaited_words(view))
    for one in view.retrying:
        due = f"at {local_time(one.next_at_ms)}, {due_words(one.next_at_ms)}"
        attempts = found.saga.retries[one.step].attempts
        head.add_row("tried again", retrying_words(one, attempts, due))
    out.print(head)
