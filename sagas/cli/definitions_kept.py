"""``sagas definitions``: under which definitions sagas run, and whether this project's can finish them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import (
    LIMIT_MAX,
    Output,
    OutputOption,
    ProjectOption,
    SagaOption,
    TimeoutOption,
)

if TYPE_CHECKING:
    from sagas.core.saga import Saga
    from sagas.ports import SagaTable
    from sagas.ports.definitions import DefinitionBook

__all__ = ["definitions"]


@dataclass(frozen=True, slots=True)
class _Line:
    """``live`` is None where nobody has counted; ``problem`` is empty where all can finish."""

    saga: str
    fingerprint: str
    is_current: bool
    live: int | None
    problem: str


def definitions(
    *,
    count: Annotated[
        bool,
        typer.Option(
            "--count",
            help="Look at every saga that has not ended, and forget definitions that none runs under.",
        ),
    ] = False,
    saga: SagaOption = None,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """List the definitions that workers have started with; ends with 1 if one is in the way of yours.

    Example: [bold]sagas definitions --count[/bold]
    """
    from sagas.admitting import definition_book
    from sagas.cli.listing import chosen_sagas
    from sagas.cli.project import open_project
    from sagas.cli.servers import open_table, read_settings

    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)

    async def look() -> list[_Line]:
        async with open_table(settings, timeout) as table:
            book = definition_book(settings)
            return [line for one in sagas for line in await _look(one, table, book, count=count)]

    lines = asyncio.run(look())
    if output is Output.JSON:
        from sagas.cli.output import print_json

        print_json({"definitions": [asdict(line) for line in lines]})
    else:
        _print_table(lines)
    if any(line.problem for line in lines):
        raise typer.Exit(ExitCode.FINDINGS)


async def _look(
    saga: type[Saga], table: SagaTable, book: DefinitionBook, *, count: bool
) -> list[_Line]:
    from sagas.admitting import count_definitions, live_count
    from sagas.change.admission import misfits

    current = saga.definition.fingerprint
    kept = dict(await book.kept(saga.name))
    live: dict[str, int | None] = dict.fromkeys(kept)
    if count:
        if await live_count(table, saga.name) > LIMIT_MAX:
            raise CommandError(
                ExitCode.REFUSED,
                f"{saga.name}: more than {LIMIT_MAX} sagas run; nobody counts those.",
            )
        counted = await count_definitions(table, saga.name, limit=LIMIT_MAX)
        for fingerprint in [one for one in kept if one not in counted and one != current]:
            await book.forget(saga.name, fingerprint)
            del kept[fingerprint]
        live = {one: counted.get(one, 0) for one in dict.fromkeys((*kept, *counted))}
    reasons = {one.fingerprint: one.reason for one in misfits(saga.definition, kept)}
    return [
        _Line(
            saga.name, one, one == current, number, reasons.get(one, _strange(one, current, kept))
        )
        for one, number in live.items()
    ]


def _strange(fingerprint: str, current: str, kept: dict[str, bytes]) -> str:
    if fingerprint == current or fingerprint in kept:
        return ""
    return "sagas run under it, and nobody has written it down: compare by `sagas diff`"


def _print_table(lines: list[_Line]) -> None:
    from sagas.cli.output import console, table

    out = console()
    if not lines:
        out.print("No worker has started yet.")
        return
    rows = table("saga", "definition", "sagas", "can finish here", right=frozenset({"sagas"}))
    for line in lines:
        live = "" if line.live is None else str(line.live)
        verdict = (
            "this one" if line.is_current else f"no: {line.problem}" if line.problem else "yes"
        )
        rows.add_row(line.saga, line.fingerprint, live, verdict)
    out.print(rows)
