"""``sagas graph``: a saga as a picture, alone or with where one instance of it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import ProjectOption, SagaOption, TimeoutOption
from sagas.core.saga import Saga
from sagas.graph.drawing import Format, Theme, View

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.cli.project import Project
    from sagas.graph.model import Graph
    from sagas.operating.lookup import Found

__all__ = ["graph"]

_Source = Annotated[
    str | None,
    typer.Argument(
        metavar="MODULE[:SAGA]",
        help="The saga to draw. Default: the one that \\[tool.sagas] names.",
        show_default=False,
    ),
]
_SagaId = Annotated[
    str | None,
    typer.Option(
        "--saga-id",
        metavar="ID",
        help="Show where this instance stands, as `sagas show` reads it.",
        show_default=False,
    ),
]
_Write = Annotated[
    Path | None,
    typer.Option(
        "--write",
        metavar="FILE",
        help="Write it there. In a Markdown file, draw its marked parts anew.",
        show_default=False,
    ),
]


def graph(
    *,
    source: _Source = None,
    view: Annotated[
        View, typer.Option("--view", help="Who does what, which states there are, or which events.")
    ] = View.CHOREOGRAPHY,
    format_: Annotated[
        Format,
        typer.Option("--format", "-f", help="SVG is drawn here; no other program is needed."),
    ] = Format.MERMAID,
    saga_id: _SagaId = None,
    theme: Annotated[
        Theme, typer.Option("--theme", help="Colours of an SVG; auto follows the reader's screen.")
    ] = Theme.AUTO,
    write: _Write = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 3 if FILE is not current.")
    ] = False,
    saga: SagaOption = None,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Draw a saga: its choreography, its state machine or its flow of events.

    Example: [bold]sagas graph events.orders:Ordering --format svg --write ordering.svg[/bold]
    """
    from sagas.cli.project import open_named

    if check and write is None:
        raise CommandError(
            ExitCode.USAGE, "--check says whether a file is current: name it, --write FILE."
        )
    opened = open_named(project, named=source is not None)
    if write is not None and write.suffix == ".md":
        if source is not None or saga_id is not None:
            raise CommandError(
                ExitCode.USAGE,
                f"The marks in {write} say what is drawn there: leave out MODULE:SAGA and --saga-id.",
            )
        _end(write, _marked(opened, write), check=check)
        return
    chosen = _chosen(opened, source, saga)
    text = _drawn(
        opened,
        chosen,
        view=view,
        format_=format_,
        theme=theme,
        saga_id=saga_id,
        timeout_s=timeout,
    )
    if write is None:
        typer.echo(text, nl=False)
    else:
        _end(write, text, check=check)


def _end(file: Path, text: str, *, check: bool) -> None:
    try:
        current = file.exists() and file.read_text(encoding="utf-8") == text
        if not current and not check:
            file.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.reason if isinstance(error, UnicodeDecodeError) else error.strerror
        raise CommandError(ExitCode.USAGE, f"{file} can not be written: {why}.") from error
    if check and not current:
        raise CommandError(
            ExitCode.DIFFERENCES,
            f"{file} is not current: the same command without --check writes it.",
        )


def _chosen(project: Project, source: str | None, name: str | None) -> tuple[type[Saga], ...]:
    from sagas.cli.listing import chosen_sagas, sagas_named

    if source is None:
        return chosen_sagas(project, name)
    return sagas_named(project.sagas_in(source), name, source)


def _drawn(
    project: Project,
    sagas: Sequence[type[Saga]],
    *,
    view: View,
    format_: Format,
    theme: Theme,
    saga_id: str | None,
    timeout_s: float,
) -> str:
    from sagas.cli.servers import read_settings
    from sagas.graph.drawing import drawn, standing_of

    settings = read_settings()
    if saga_id is not None:
        found = asyncio.run(_look(settings, sagas, saga_id, timeout_s))
        plain = _graph(project, found.saga, view, settings)
        return drawn(standing_of(plain, view, found.instance), format_, theme)
    if len(sagas) > 1:
        names = ", ".join(f"--saga {saga.name}" for saga in sagas)
        raise CommandError(ExitCode.USAGE, f"One picture shows one saga: say which, {names}.")
    return drawn(_graph(project, sagas[0], view, settings), format_, theme)


async def _look(
    settings: SagaSettings, sagas: Sequence[type[Saga]], saga_id: str, timeout_s: float
) -> Found:
    from sagas.cli.servers import open_table
    from sagas.operating.lookup import find_saga

    async with open_table(settings, timeout_s) as table:
        return await find_saga(table, sagas, saga_id, settings.namespace)


def _graph(project: Project, saga: type[Saga], view: View, settings: SagaSettings) -> Graph:
    from sagas.exports.flow import event_flow
    from sagas.graph.drawing import graph_of
    from sagas.wire.topics import Topics

    if view is View.EVENTS:
        return event_flow(saga.definition, project.services(), Topics(settings.namespace))
    return graph_of(saga.definition, view)


def _marked(project: Project, file: Path) -> str:
    """The Markdown file with its marked parts drawn anew."""
    from sagas.cli.marks import redrawn
    from sagas.cli.servers import read_settings
    from sagas.graph.mermaid import mermaid

    settings = read_settings()

    def picture(name: str, view: str) -> str:
        from sagas.cli.listing import chosen_sagas

        if view not in set(View):
            raise CommandError(
                ExitCode.USAGE, f"{file}: there is no view {view!r}; there are {', '.join(View)}."
            )
        (saga,) = chosen_sagas(project, name)
        return mermaid(_graph(project, saga, View(view), settings))

    return redrawn(file, picture)
