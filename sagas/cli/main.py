"""The command ``sagas``: its subcommands, and how every one of them ends.

Owns the way from any error to one line on standard error and an exit code. Imports of commands are
light, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from sagas import __version__
from sagas.cli.check import check
from sagas.cli.dead_letters import dead_letters
from sagas.cli.definitions import export_definition, generate
from sagas.cli.definitions_kept import definitions
from sagas.cli.diff import diff
from sagas.cli.errors import ExitCode, code_of, line_of
from sagas.cli.explain import explain
from sagas.cli.export import export
from sagas.cli.graph import graph
from sagas.cli.listing import list_sagas
from sagas.cli.migrating import migrate
from sagas.cli.operate import cancel, compensate, resume, retry, skip
from sagas.cli.replay import replay_compensations
from sagas.cli.restoring import rebuild, verify
from sagas.cli.run import run
from sagas.cli.show import show
from sagas.cli.simulate import simulate
from sagas.cli.start import start
from sagas.cli.timers import timers
from sagas.cli.top import top
from sagas.cli.topics import topics
from sagas.cli.web import web
from sagas.cli.workers import workers
from sagas.core.errors import SagaError
from sagas.core.printable import printable

__all__ = ["app", "main"]

_HELP = """Run sagas over Kafka, and see where they stand.

The services and sagas are those that [bold]\\[tool.sagas][/bold] in pyproject.toml names.
Where the servers are is read from the environment: SAGAS_KAFKA, SAGAS_REDIS, SAGAS_NAMESPACE.
"""
_EPILOG = (
    "Exit codes: 0 ok, 1 something to mend in the project, 2 wrong usage or settings, "
    "3 topics are missing or differ, 4 not found, 5 a server or service is not available, "
    "6 refused: it can not be done to this saga now, 7 start it again: it had too little memory left."
)

app = typer.Typer(
    name="sagas",
    help=_HELP,
    epilog=_EPILOG,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("start")(start)
app.command("list")(list_sagas)
app.command("show")(show)
app.command("explain")(explain)
app.command("top")(top)
app.command("timers")(timers)
app.command("workers")(workers)
app.command("cancel")(cancel)
app.command("resume")(resume)
app.command("retry")(retry)
app.command("skip")(skip)
app.command("compensate")(compensate)
app.command("replay-compensations")(replay_compensations)
app.command("rebuild")(rebuild)
app.command("verify")(verify)
app.add_typer(dead_letters)
app.add_typer(topics)
app.command("web")(web)
app.command("check")(check)
app.command("graph")(graph)
app.command("diff")(diff)
app.command("definitions")(definitions)
app.command("migrate")(migrate)
app.command("generate")(generate)
export.command("definition")(export_definition)
app.add_typer(export)
app.command("simulate")(simulate)

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_CLICK_ERROR: type[Exception] = _USAGE_ERROR.__mro__[1]
"""What typer raises; its newer versions carry a click of their own, under a private name."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sagas {__version__}")
        raise typer.Exit


@app.callback()
def _sagas(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code: one line, never a traceback, for a mistake."""
    sys.exit(_code(sys.argv[1:] if arguments is None else arguments))


def _code(arguments: list[str]) -> int:
    try:
        ended = app(arguments or ["--help"], prog_name="sagas", standalone_mode=False)
    except (SagaError, ValidationError) as error:
        _say(line_of(error))
        return code_of(error)
    except _CLICK_ERROR as error:
        _say(_usage(error))
        return ExitCode.USAGE
    except typer.Abort:
        return 130
    return ended if isinstance(ended, int) else ExitCode.OK


def _usage(error: Exception) -> str:
    """What was typed wrongly, and where the right words stand."""
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "sagas")
    text = getattr(error, "format_message", error.__str__)() or "Name a subcommand"
    told = str(text).replace("Value error, ", "").rstrip(".").removesuffix("?")
    ending = "?" if str(text).rstrip(".").endswith("?") else "."
    return f"{told}{ending} `{command} --help` shows how."


def _say(line: str) -> None:
    sys.stderr.write(f"error: {printable(line, lines=True)}\n")
