"""``sagas show``: one saga, what happened in it, and what it waits for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.listing import chosen_sagas
from sagas.cli.options import Output, OutputOption, ProjectOption, SagaOption, TimeoutOption
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from sagas.ports import SagaTable
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
    """Show one saga: its status, its timeline, and what it waits for or why it turned back.

    Example: [bold]sagas show o-1042 --payloads[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import open_table, read_settings

    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)

    async def look() -> list[SagaView]:
        async with open_table(settings, timeout) as table:
            found = await asyncio.gather(*(_view(table, one, saga_id) for one in sagas))
            return [view for view in found if view is not None]

    view = _only(asyncio.run(look()), saga_id, sagas, settings.namespace)
    if output is Output.JSON:
        _print_json(view, payloads=payloads)
    else:
        _print_tables(view, payloads=payloads)


async def _view(table: SagaTable, saga: type[Saga], saga_id: str) -> SagaView | None:
    from sagas.runtime.views import view_of

    row = await table.load(saga.name, saga_id, events=True)
    return None if row is None else view_of(saga.definition, saga_id, row)


def _only(
    views: Sequence[SagaView], saga_id: str, sagas: Sequence[type[Saga]], namespace: str
) -> SagaView:
    if len(views) == 1:
        return views[0]
    if views:
        names = " or ".join(f"--saga {view.saga}" for view in views)
        raise CommandError(ExitCode.USAGE, f"{saga_id!r} is in several sagas: say {names}.")
    looked = ", ".join(saga.name for saga in sagas)
    raise CommandError(
        ExitCode.NOT_FOUND,
        f"There is no {saga_id!r} in {looked} (namespace {namespace}): not started, not seen by a "
        "worker yet, or expired. `sagas list` shows which there are; SAGAS_NAMESPACE and "
        "SAGAS_REDIS say where it looks.",
    )


def _print_json(view: SagaView, *, payloads: bool) -> None:
    from sagas.cli.output import print_json, rfc3339
    from sagas.cli.words import reason_of, waiting_json

    reason = reason_of(view)
    timeline = [
        {
            "event": entry.event,
            "step": entry.step,
            "role": entry.role.value,
            "service": entry.service,
            "time": rfc3339(entry.time_ms),
            "since_cause_ms": entry.since_cause_ms,
            **({"payload": _payload(entry)} if payloads else {}),
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
            "reason": None if reason is None else reason.as_json(),
            "timeline": timeline,
        }
    )


def _payload(entry: TimelineEntry) -> object:
    try:
        return json.loads(entry.payload)
    except ValueError:
        return entry.payload.decode(errors="replace")


def _print_tables(view: SagaView, *, payloads: bool) -> None:
    from sagas.cli.output import console, duration, local_time, table

    out = console()
    _print_head(out, view)
    rows = table("time", "after", "service", "step", "event", right=frozenset({"after"}))
    one_day = len({local_time(entry.time_ms)[:10] for entry in view.timeline}) == 1
    for entry in view.timeline:
        rows.add_row(
            local_time(entry.time_ms, milliseconds=one_day),
            duration(entry.since_cause_ms),
            entry.service,
            entry.step,
            _event(entry, payloads=payloads),
        )
    out.print()
    out.print(rows)


def _event(entry: TimelineEntry, *, payloads: bool) -> Text:
    from rich.text import Text

    text = Text(entry.event)
    if payloads:
        text.append(f"\n{json.dumps(_payload(entry), ensure_ascii=False)}", style="dim")
    return text


def _print_head(out: Console, view: SagaView) -> None:
    from rich.table import Table

    from sagas.cli.output import local_time, status_text
    from sagas.cli.words import awaited_words, reason_of

    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold")
    head.add_column(overflow="fold")
    head.add_row("saga", f"{view.saga} {view.saga_id}")
    head.add_row("status", status_text(view.status.value))
    if view.state is not None:
        head.add_row("state", view.state)
    if view.timeline:
        head.add_row("started", local_time(min(entry.time_ms for entry in view.timeline)))
    reason, parked = reason_of(view), view.status is SagaStatus.PARKED
    if reason is not None:
        head.add_row("parked because" if parked else "turned back because", reason.text)
    if view.waits_for and not view.has_ended:
        head.add_row("outstanding" if parked else "waits for", awaited_words(view))
    out.print(head)
