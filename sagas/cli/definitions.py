"""``sagas generate`` and ``sagas export definition``: a saga as JSON, both ways, without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import ProjectOption

__all__ = ["export_definition", "generate"]

_STDOUT = Path("-")


def generate(
    definition: Annotated[
        Path | None,
        typer.Argument(metavar="DEFINITION.json", help="The saga in JSON.", show_default=False),
    ] = None,
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FILE",
            help="The module to write; - is standard output. Default: beside the definition, named alike.",
            show_default=False,
        ),
    ] = None,
    handlers: Annotated[
        bool,
        typer.Option(
            "--handlers/--no-handlers",
            help="With services and a handler to fill in for each step, or only events and saga.",
        ),
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a module that says something else.")
    ] = False,
    line_length: Annotated[
        int, typer.Option("--line-length", min=40, max=320, help="As your formatter has it.")
    ] = 88,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of definitions, and end.")
    ] = False,
) -> None:
    """Write the typed Python module of a saga that is defined in JSON.

    Example: [bold]sagas generate order_fulfilment.json[/bold]
    """
    from sagas.cli.declared import read_file
    from sagas.language.python import module_of

    if schema:
        typer.echo(schema_text(), nl=False)
        return
    if definition is None:
        raise CommandError(ExitCode.USAGE, "Name the definition: `sagas generate saga.json`.")
    text = module_of(read_file(definition), handlers=handlers, width=line_length)
    target = to or definition.with_name(f"{definition.stem.replace('-', '_')}.py")
    _write(text, target, force=force)


def schema_text() -> str:
    """The JSON Schema of definitions as it is kept and printed."""
    from sagas.language.schema import schema

    return f"{json.dumps(schema(), indent=2)}\n"


def export_definition(
    saga: Annotated[
        str,
        typer.Argument(
            metavar="MODULE[:SAGA]", help="The saga; its name is needed where a module has several."
        ),
    ],
    to: Annotated[
        Path,
        typer.Option("--write", metavar="FILE", help="Where to write it; - is standard output."),
    ] = _STDOUT,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that says something else.")
    ] = False,
    project: ProjectOption = None,
) -> None:
    """Write a saga as JSON; `sagas generate` makes the same saga of it.

    Example: [bold]sagas export definition events.orders:Ordering[/bold]
    """
    from sagas.cli.declared import opened, saga_of
    from sagas.language.exporting import declaration_of
    from sagas.language.writing import written

    _write(written(declaration_of(saga_of(saga, opened(project)))), to, force=force)


def _write(text: str, to: Path, *, force: bool) -> None:
    if to == _STDOUT:
        typer.echo(text, nl=False)
        return
    try:
        if not force and to.exists() and to.read_text(encoding="utf-8") != text:
            raise CommandError(
                ExitCode.REFUSED,
                f"{to} is there and says something else, perhaps what somebody has filled in. Write "
                "elsewhere with --write, or over it with --force.",
            )
        to.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.reason if isinstance(error, UnicodeDecodeError) else error.strerror
        raise CommandError(ExitCode.USAGE, f"{to} can not be written: {why}.") from error
    typer.echo(f"{to}: written.", err=True)
