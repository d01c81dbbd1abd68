"""The options that several commands share, so that they read and behave alike everywhere."""

from __future__ import annotations

import getpass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode

__all__ = [
    "LIMIT_MAX",
    "ByOption",
    "Output",
    "OutputOption",
    "ProjectOption",
    "SagaOption",
    "TimeoutOption",
    "WhyOption",
    "login",
]


LIMIT_MAX = 1_000_000
"""More than anybody reads, and less than a server can not count to."""


class Output(StrEnum):
    """For people or for scripts."""

    TABLE = "table"
    JSON = "json"


ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="FILE",
        help="The pyproject.toml with \\[tool.sagas]. Default: the nearest one from here upwards.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Output,
    typer.Option("--output", "-o", help="A table for people, or one JSON document for scripts."),
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long to wait for a server."),
]
SagaOption = Annotated[
    str | None,
    typer.Option(
        "--saga",
        metavar="NAME",
        help="Only this saga, such as order-fulfilment.",
        show_default=False,
    ),
]
ByOption = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", help="Who asks. Default: who is logged in.", show_default=False
    ),
]
WhyOption = Annotated[
    str | None,
    typer.Option(
        "--why",
        metavar="TEXT",
        help="Why; it is recorded. Only --dry-run does without.",
        show_default=False,
    ),
]


def login() -> str:
    """Who asks, where nobody says so. Raises CommandError if nobody is logged in by name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise CommandError(
            ExitCode.USAGE, "Nobody is logged in by name: say who asks, --by NAME."
        ) from None
