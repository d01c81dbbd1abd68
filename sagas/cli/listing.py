"""``sagas list``: which sagas there are, where they stand, and what they wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import (
    LIMIT_MAX,
    FactorOption,
    JsonOption,
    LookOption,
    Output,
    OutputOption,
    ProjectOption,
    SagaOption,
    StuckOption,
    TimeoutOption,
)
from sagas.core.errors import ContractViolation
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.operating.errors import nearest
from sagas.operating.standing import Standing, standing_of, unprepared_words

if TYPE_CHECKING:
    from sagas.cli.project import Project
    from sagas.ports import Listed, SagaTable
    from sagas.restoring import RestorableTable
    from sagas.runtime.views import SagaView

__all__ = ["chosen_sagas", "list_sagas", "sagas_named"]

_ALL = tuple(status.value for status in SagaStatus)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the index with the view behind it; without one where ``problem`` says why."""

    listed: Listed
    view: SagaView | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    lines: Sequence[_Line]
    counts: Mapping[str, int]
    standings: Sequence[Standing]
    namespace: str


def list_sagas(
    *,
    saga: SagaOption = None,
    status: Annotated[
        list[SagaStatus] | None,
        typer.Option(
            "--status",
            case_sensitive=False,
            help="Only sagas in this status; may be given several times.",
            show_default=False,
        ),
    ] = None,
    stuck: StuckOption = False,
    factor: FactorOption = None,
    look: LookOption = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=LIMIT_MAX, help="At most so many.")
    ] = 20,
    output: OutputOption = Output.TABLE,
    json_: JsonOption = False,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """List sagas, last changed first, with what each waits for and a count by status.

    Example: [bold]sagas list --status parked --status compensating[/bold]

    Example: [bold]sagas list --stuck[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import open_table, read_settings

    as_json = output is Output.JSON or json_
    if stuck:
        from sagas.cli.stuck import list_stuck

        _check_alone(status)
        list_stuck(
            saga,
            limit=limit,
            look=look,
            factor=factor,
            as_json=as_json,
            project=project,
            timeout_s=timeout,
        )
        return
    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)
    wanted = [one.value for one in status] if status else list(_ALL)

    async def find() -> _Found:
        async with open_table(settings, timeout) as table:
            return await _look(table, sagas, wanted, limit, settings.namespace)

    found = asyncio.run(find())
    if as_json:
        _print_json(found)
    else:
        _print_table(found, wanted, several=len(sagas) > 1)


def _check_alone(status: Sequence[SagaStatus] | None) -> None:
    if status:
        raise CommandError(
            ExitCode.USAGE, "--stuck looks at every saga that has not ended: leave out --status."
        )


def chosen_sagas(project: Project, name: str | None) -> tuple[type[Saga], ...]:
    """The project's sagas, or the one of that name. Raises CommandError."""
    sagas = project.sagas()
    if not sagas:
        raise CommandError(
            ExitCode.USAGE,
            f'{project.file} names no sagas; write sagas = ["events.orders:Ordering"] into '
            "[tool.sagas].",
        )
    return sagas_named(sagas, name, str(project.file))


def sagas_named(
    sagas: tuple[type[Saga], ...], name: str | None, where: str
) -> tuple[type[Saga], ...]:
    """These sagas, or the one of that name among them. Raises CommandError."""
    chosen = tuple(saga for saga in sagas if name in {None, saga.name})
    if not chosen and name is not None:
        hint = nearest(name, [saga.name for saga in sagas], "Sagas there")
        raise CommandError(ExitCode.USAGE, f"There is no saga {name!r} in {where}.{hint}")
    return chosen


async def _look(
    table: RestorableTable,
    sagas: Sequence[type[Saga]],
    statuses: Sequence[str],
    limit: int,
    namespace: str,
) -> _Found:
    """All calls are issued together: they travel in few pipelines."""
    listings, counts, standings = await asyncio.gather(
        asyncio.gather(
            *(table.list_sagas(saga.name, statuses=statuses, limit=limit) for saga in sagas)
        ),
        asyncio.gather(*(table.count_sagas(saga.name, statuses=_ALL) for saga in sagas)),
        standing_of(table, sagas),
    )
    by_name = {saga.name: saga for saga in sagas}
    newest = sorted(
        (listed for listing in listings for listed in listing),
        key=lambda listed: (listed.changed_at_ms, listed.saga_id),
        reverse=True,
    )[:limit]
    lines = await asyncio.gather(*(_line(table, by_name[one.saga], one) for one in newest))
    total = {status: sum(count[status] for count in counts) for status in _ALL}
    return _Found(lines, total, standings, namespace)


async def _line(table: SagaTable, saga: type[Saga], listed: Listed) -> _Line:
    from sagas.runtime.views import view_of

    try:
        row = await table.load(listed.saga, listed.saga_id, events=True)
        if row is None:
            return _Line(listed, None, "it has expired")
        return _Line(listed, view_of(saga.definition, listed.saga_id, row))
    except ContractViolation as error:
        return _Line(listed, None, str(error))


def _print_json(found: _Found) -> None:
    from sagas.cli.output import print_json
    from sagas.operating.moments import rfc3339
    from sagas.operating.words import reason_of, waiting_json

    sagas: list[dict[str, object]] = []
    for line in found.lines:
        view = line.view
        reason = None if view is None else reason_of(view)
        sagas.append(
            {
                "id": line.listed.saga_id,
                "saga": line.listed.saga,
                "status": line.listed.status if view is None else view.status.value,
                "state": None if view is None else view.state,
                "changed_at": rfc3339(line.listed.changed_at_ms),
                "waits_for": [] if view is None else waiting_json(view),
                "reason": None if reason is None else reason.as_json(),
                "problem": line.problem or None,
            }
        )
    unready = [asdict(one) for one in found.standings if not one.is_ready]
    print_json({"sagas": sagas, "counts": dict(found.counts), "unready": unready})


def _print_table(found: _Found, statuses: Sequence[str], *, several: bool) -> None:
    from sagas.cli.output import console, print_rows, recent_time, status_text
    from sagas.operating.words import waiting_words

    out = console()
    columns = ("id", *(("saga",) if several else ()), "status", "state", "changed", "waits for")
    rows = [
        (
            line.listed.saga_id,
            *((line.listed.saga,) if several else ()),
            status_text(line.listed.status if line.view is None else line.view.status.value),
            (line.view and line.view.state) or "",
            recent_time(line.listed.changed_at_ms),
            line.problem if line.view is None else waiting_words(line.view),
        )
        for line in found.lines
    ]
    if rows:
        print_rows(columns, rows)
        out.print()
    out.print(_summary(found, statuses), soft_wrap=True)
    for standing in found.standings:
        if not standing.is_ready and not standing.is_blank:
            out.print(standing.words(), soft_wrap=True)
    if blank := [one.saga for one in found.standings if one.is_blank]:
        out.print(unprepared_words(blank, found.namespace), soft_wrap=True)


def _summary(found: _Found, statuses: Sequence[str]) -> str:
    total = sum(found.counts.values())
    if not total:
        return "No sagas yet."
    counted = ", ".join(f"{count} {status}" for status, count in found.counts.items() if count)
    matching = sum(found.counts[status] for status in statuses)
    if not matching:
        return f"None is {' or '.join(statuses)}; there are {counted}."
    shown = len(found.lines)
    more = f" {shown} of {matching} are shown; --limit shows more." if shown < matching else ""
    return f"{counted}.{more}"
