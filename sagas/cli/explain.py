"""``sagas explain``: where one saga stands, in plain words, and what can be done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import ExitCode
from sagas.cli.listing import chosen_sagas
from sagas.cli.options import (
    JsonOption,
    Output,
    OutputOption,
    ProjectOption,
    SagaOption,
    TimeoutOption,
)

if TYPE_CHECKING:
    from sagas.operating.explaining import Explanation, Sentence

__all__ = ["explain"]


def explain(
    *,
    saga_id: Annotated[
        str, typer.Argument(metavar="SAGA_ID", help="The business key, such as an order's id.")
    ],
    saga: SagaOption = None,
    output: OutputOption = Output.TABLE,
    json_: JsonOption = False,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Say where one saga stands, in plain words: what it waits for, since when, whether that is usual, who
    works on it, what happens next, and what can be done.

    Example: [bold]sagas explain o-1042[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import open_table, read_settings
    from sagas.operating.explainer import Explainer
    from sagas.operating.opening import open_lookout, where_of

    settings = read_settings()
    opened = open_project(project)
    sagas = chosen_sagas(opened, saga)
    every = opened.sagas()

    async def look() -> Explanation:
        async with (
            open_table(settings, timeout, within_s=3 * timeout) as table,
            open_lookout(
                settings, table, every, client_id="sagas-cli", patience_s=timeout / 2
            ) as lookout,
        ):
            return await Explainer(lookout, sagas, where_of(settings)).explain(saga_id)

    told = asyncio.run(look())
    if output is Output.JSON or json_:
        from sagas.cli.output import print_json
        from sagas.operating.explaining import document_of
        from sagas.operating.moments import rfc3339

        print_json(document_of(told, rfc3339))
    else:
        _print_words(told)
    code = _code(told)
    if code:
        raise typer.Exit(code)


def _code(told: Explanation) -> ExitCode:
    from sagas.operating.explaining import Situation

    return {
        Situation.NOT_FOUND: ExitCode.NOT_FOUND,
        Situation.LOST: ExitCode.UNAVAILABLE,
        Situation.REBUILDING: ExitCode.UNAVAILABLE,
        Situation.UNREADABLE: ExitCode.FINDINGS,
    }.get(told.situation, ExitCode.OK)


def _print_words(told: Explanation) -> None:
    """One sentence a line. Each command on one line however long it is, to be copied."""
    from rich.text import Text

    from sagas.cli.output import console, status_text
    from sagas.core.printable import printable

    out = console()
    if told.status is not None:
        title = Text.assemble((printable(f"{told.saga} {told.saga_id}"), "bold"), "  ")
        title.append(status_text(told.status.value))
        title.append(f"  {told.state}" if told.state else "")
        out.print(title, soft_wrap=True)
        out.print()
    for sentence in told.sentences:
        out.print(_line(sentence))
    if told.choices:
        out.print("\nWhat can be done:", style="bold")
    for choice in told.choices:
        out.print(printable(f"  {choice.command}  # {choice.does}"), soft_wrap=True)


def _line(sentence: Sentence) -> object:
    from rich.text import Text

    from sagas.cli.output import recent_time
    from sagas.core.printable import printable
    from sagas.operating.explaining import About

    style = {About.HEAD: "bold", About.STUCK: "bold red", About.LETTER: "red"}
    return Text(printable(sentence.text(recent_time)), style=style.get(sentence.about, ""))
