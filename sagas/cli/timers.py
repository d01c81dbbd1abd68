"""``sagas timers``: what is due when, and what happens then.

Looks only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.listing import chosen_sagas
from sagas.cli.options import (
    LIMIT_MAX,
    Output,
    OutputOption,
    ProjectOption,
    SagaOption,
    TimeoutOption,
)
from sagas.core.errors import ContractViolation
from sagas.core.saga import Saga
from sagas.operating.timers import TimerLine, lines_of, unrecorded

if TYPE_CHECKING:
    from sagas.ports import SagaTable, Timer

__all__ = ["due_words", "json_of", "timers"]


def timers(
    *,
    saga: SagaOption = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=LIMIT_MAX, help="At most so many.")
    ] = 20,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """List the timers of sagas, those due first on top, with what happens then.

    Example: [bold]sagas timers --saga order-fulfilment[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import open_table, read_settings

    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)

    async def look() -> list[TimerLine]:
        async with open_table(settings, timeout) as table:
            return await _look(table, sagas, limit)

    found = asyncio.run(look())
    if output is Output.JSON:
        from sagas.cli.output import print_json

        print_json({"timers": [json_of(line) for line in found]})
    else:
        _print_table(found, limit)


async def _look(table: SagaTable, sagas: Sequence[type[Saga]], limit: int) -> list[TimerLine]:
    listed = await asyncio.gather(*(table.list_timers(saga.name, limit=limit) for saga in sagas))
    by_name = {saga.name: saga for saga in sagas}
    earliest = sorted((timer for found in listed for timer in found), key=lambda one: one.due_ms)
    lines = await asyncio.gather(
        *(_line(table, by_name[timer.saga], timer) for timer in earliest[:limit])
    )
    return sorted(lines, key=lambda line: line.due_ms)


async def _line(table: SagaTable, saga: type[Saga], timer: Timer) -> TimerLine:
    """The timer with when it is due by the saga's record: one that is published is put off in the index
    until somebody has handled it.
    """
    from sagas.wire.stored import decode_instance

    try:
        row = await table.load(timer.saga, timer.saga_id)
        if row is None:
            return TimerLine(*timer, "nothing: the saga has expired")
        instance = decode_instance(saga.definition, timer.saga_id, row.state, notes=row.notes)
    except ContractViolation as error:
        return TimerLine(*timer, f"unknown: {error}")
    for line in lines_of(instance):
        if line.timer == timer.name:
            return line
    return unrecorded(timer)


def due_words(due_ms: int) -> str:
    """``in 3.4 s``, or ``12 ms ago``."""
    from sagas.adapters.clock import SystemClock
    from sagas.operating.moments import duration

    left_ms = due_ms - SystemClock().now_ms()
    return f"in {duration(left_ms)}" if left_ms >= 0 else f"{duration(-left_ms)} ago"


def json_of(line: TimerLine) -> dict[str, object]:
    """The timer for scripts."""
    from sagas.operating.moments import rfc3339

    return {
        "saga": line.saga,
        "id": line.saga_id,
        "timer": line.timer,
        "due_at": rfc3339(line.due_ms),
        "event": line.event,
        "then": line.then,
    }


def _print_table(lines: Sequence[TimerLine], limit: int) -> None:
    from sagas.cli.output import console, local_time, table

    out = console()
    if not lines:
        out.print("No timers are set.")
        return
    rows = table("saga", "id", "timer", "due", "", "then")
    for line in lines:
        rows.add_row(
            line.saga,
            line.saga_id,
            line.timer,
            local_time(line.due_ms),
            due_words(line.due_ms),
            line.then,
        )
    out.print(rows)
    if len(lines) == limit:
        out.print()
        out.print(f"{limit} are shown; --limit shows more.")
