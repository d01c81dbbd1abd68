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
    "FactorOption",
    "JsonOption",
    "LookOption",
    "Output",
    "OutputOption",
    "ProjectOption",
    "SagaOption",
    "StuckOption",
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
JsonOption = Annotated[bool, typer.Option("--json", help="The same as --output json.")]
StuckOption = Annotated[
    bool,
    typer.Option("--stuck", help="Only those that are stuck, surest and oldest first, and why."),
]
FactorOption = Annotated[
    float | None,
    typer.Option(
        "--factor",
        min=1.0,
        metavar="TIMES",
        help="With --stuck: so many times what is usual is too long. Default: SAGAS_STUCK_FACTOR, "
        "or 10.",
        show_default=False,
    ),
]
LookOption = Annotated[
    int | None,
    typer.Option(
        "--look",
        min=1,
        max=LIMIT_MAX,
        metavar="ROWS",
        help="With --stuck: so many sagas of each type are looked at. Default: 2000.",
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
