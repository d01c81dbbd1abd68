"""``sagas dead-letters``: what services could not handle; sent again, or set aside for good.

Owns what can be typed, which letters are meant, and the pace of a replay.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import (
    LIMIT_MAX,
    ByOption,
    Output,
    OutputOption,
    ProjectOption,
    TimeoutOption,
    WhyOption,
    login,
)
from sagas.operating.errors import nearest
from sagas.operating.letters import Wanted

if TYPE_CHECKING:
    from sagas.cli.project import Project
    from sagas.runtime.dead_letter_box import Letter

__all__ = ["dead_letters", "rate_of", "since_ms"]

dead_letters = typer.Typer(
    name="dead-letters",
    help="See what services could not handle, send it again, or set it aside.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

IdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="topic/partition/offset of the record, as `list` shows it."),
]
OptionalId = Annotated[
    str | None,
    typer.Argument(
        metavar="[ID]", help="topic/partition/offset of the record.", show_default=False
    ),
]
ServiceOption = Annotated[
    str | None,
    typer.Option("--service", metavar="NAME", help="Only of this service.", show_default=False),
]
ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--reason", metavar="TEXT", help="Only with this text in the reason.", show_default=False
    ),
]
SagaIdOption = Annotated[
    str | None,
    typer.Option("--saga-id", metavar="ID", help="Only of this saga.", show_default=False),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only those since then: 30m, 12h, 7d, or 2026-01-31T12:00.",
        show_default=False,
    ),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Every open letter that the filters let by.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show which, and publish nothing.")]
RateOption = Annotated[
    str | None,
    typer.Option(
        "--rate", metavar="N/s", help="At most so many a second, such as 10/s.", show_default=False
    ),
]


@dead_letters.command("list")
def list_letters(
    *,
    service: ServiceOption = None,
    reason: ReasonOption = None,
    saga_id: SagaIdOption = None,
    since: SinceOption = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Those that were replayed or discarded, too.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=LIMIT_MAX, help="At most so many.")
    ] = 20,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """List the open dead letters of services, newest first.

    Example: [bold]sagas dead-letters list --service payments --since 24h[/bold]
    """
    from sagas.cli.letters import json_of, print_letters
    from sagas.cli.output import console, print_json

    wanted = Wanted(reason=reason, saga_id=saga_id, since_ms=since_ms(since))
    found = _look(wanted, service, project, timeout, resolved=resolved)
    if output is Output.JSON:
        print_json({"letters": [json_of(one) for one in found[:limit]], "count": len(found)})
        return
    if not found:
        console().print("No dead letters." if resolved else "No open dead letters.")
        return
    print_letters(found[:limit], resolved=resolved)
    if len(found) > limit:
        console().print(f"\n{limit} of {len(found)} are shown; --limit shows more.")


@dead_letters.command("show")
def show_letter(
    *,
    id_: IdArgument,
    service: ServiceOption = None,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Show one dead letter: why, headers and payload. Payloads may hold what not everybody should read.

    Example: [bold]sagas dead-letters show sagas.orders.events/3/1042[/bold]
    """
    from sagas.cli.letters import print_shown, shown_json
    from sagas.cli.output import console, print_json

    found = _look(Wanted(id=_checked(id_)), service, project, timeout, resolved=True)
    if not found:
        raise _missing(id_)
    if output is Output.JSON:
        print_json({"letters": [shown_json(letter) for letter in found]})
        return
    for number, letter in enumerate(found):
        if number:
            console().print()
        print_shown(letter)


@dead_letters.command("replay")
def replay(
    *,
    id_: OptionalId = None,
    all_: AllOption = False,
    service: ServiceOption = None,
    reason: ReasonOption = None,
    saga_id: SagaIdOption = None,
    since: SinceOption = None,
    rate: RateOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Publish records again, bytes untouched, to the topics that they came from.

    Example: [bold]sagas dead-letters replay --all --service payments --rate 10/s --why "mended"[/bold]
    """
    _resolve(
        discard=False,
        wanted=_wanted(id_, all_, reason, saga_id, since),
        service=service,
        rate=rate,
        by=by,
        why=why,
        dry_run=dry_run,
        output=output,
        project=project,
        timeout_s=timeout,
    )


@dead_letters.command("discard")
def discard(
    *,
    id_: OptionalId = None,
    all_: AllOption = False,
    service: ServiceOption = None,
    reason: ReasonOption = None,
    saga_id: SagaIdOption = None,
    since: SinceOption = None,
    rate: RateOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Say that nothing is to be done about dead letters. Nothing is deleted.

    Example: [bold]sagas dead-letters discard sagas.orders.events/3/1042 --why "a test"[/bold]
    """
    _resolve(
        discard=True,
        wanted=_wanted(id_, all_, reason, saga_id, since),
        service=service,
        rate=rate,
        by=by,
        why=why,
        dry_run=dry_run,
        output=output,
        project=project,
        timeout_s=timeout,
    )


def _wanted(
    id_: str | None, all_: bool, reason: str | None, saga_id: str | None, since: str | None
) -> Wanted:
    if (id_ is None) != all_:
        raise CommandError(
            ExitCode.USAGE, "Say which: the ID of one letter, or --all that the filters let by."
        )
    return Wanted(
        id=None if id_ is None else _checked(id_),
        reason=reason,
        saga_id=saga_id,
        since_ms=since_ms(since),
    )


def _resolve(
    *,
    discard: bool,
    wanted: Wanted,
    service: str | None,
    rate: str | None,
    by: str | None,
    why: str | None,
    dry_run: bool,
    output: Output,
    project: Path | None,
    timeout_s: float,
) -> None:
    from sagas.cli.project import open_project
    from sagas.cli.resolving import print_resolved, resolve
    from sagas.cli.servers import read_settings
    from sagas.operating.resolving import Resolving

    if not dry_run and not (why or "").strip():
        raise CommandError(
            ExitCode.USAGE, 'Say why, for those who look later: --why "the contract is mended".'
        )
    settings, opened = read_settings(), open_project(project)
    resolving = Resolving(
        discard=discard,
        pause_s=rate_of(rate),
        by=by or login(),
        why=why or "",
        dry_run=dry_run,
        timeout_s=timeout_s,
    )
    resolved = asyncio.run(
        resolve(
            resolving,
            wanted,
            settings=settings,
            sagas=opened.sagas(),
            services=_services(opened, service),
        )
    )
    if wanted.id is not None and not resolved.letters:
        raise _missing(wanted.id)
    print_resolved(resolving, resolved, as_json=output is Output.JSON)


def _look(
    wanted: Wanted, service: str | None, project: Path | None, timeout_s: float, *, resolved: bool
) -> list[Letter]:
    from sagas.cli.project import open_project
    from sagas.cli.servers import open_boxes, read_settings

    settings = read_settings()
    services = _services(open_project(project), service)

    async def look() -> list[Letter]:
        async with open_boxes(settings, services, timeout_s, writes=False) as boxes:
            found = [
                letter
                for box in boxes
                for letter in await box.letters(include_resolved=resolved)
                if wanted.matches(letter)
            ]
        return sorted(found, key=lambda one: one.time_ms, reverse=True)

    return asyncio.run(look())


def _services(project: Project, given: str | None) -> Sequence[str]:
    """The services that have dead letters: the project's, and those of its sagas."""
    names = dict.fromkeys(
        [
            *(name for saga in project.sagas() for name in saga.definition.services),
            *(service.name for service in project.services()),
        ]
    )
    if given is None:
        return list(names)
    if given not in names:
        hint = nearest(given, names, "Services of this project")
        raise CommandError(
            ExitCode.USAGE, f"There is no service {given!r} in {project.file}.{hint}"
        )
    return [given]


def _checked(id_: str) -> str:
    if not re.fullmatch(r"[^/]+/[0-9]+/[0-9]+", id_):
        raise CommandError(
            ExitCode.USAGE,
            f"{id_!r} is no topic/partition/offset such as sagas.orders.events/3/17.",
        )
    return id_


def _missing(id_: str) -> CommandError:
    return CommandError(
        ExitCode.NOT_FOUND,
        f"There is no dead letter {id_}. `sagas dead-letters list --resolved` shows which there are; "
        "SAGAS_NAMESPACE and SAGAS_KAFKA say where it looks.",
    )


def since_ms(given: str | None, option: str = "--since") -> int:
    """The moment that was typed, in milliseconds since the epoch. Raises CommandError."""
    if given is None:
        return 0
    span = re.fullmatch(r"(\d{1,9})([smhd])", given)
    if span is not None:
        return time.time_ns() // 1_000_000 - int(span[1]) * _UNITS_MS[span[2]]
    try:
        moment = datetime.fromisoformat(given)
        return round((moment if moment.tzinfo else moment.astimezone()).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise CommandError(
            ExitCode.USAGE, f"{option} {given} is no time such as 30m, 12h, 7d or 2026-01-31T12:00."
        ) from None


_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def rate_of(given: str | None) -> float:
    """The pause between two letters, in seconds. Raises CommandError."""
    if given is None:
        return 0.0
    number = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(?:/s)?", given)
    if number is None or float(number[1]) <= 0:
        raise CommandError(ExitCode.USAGE, f"--rate {given} is no rate such as 10/s.")
    return 1 / float(number[1])
