"""``sagas replay-compensations``: compensations that failed, or were wrong, run again over many sagas.

Owns what can be typed. Who is chosen and what is asked of each, ``sagas.runtime.replay`` says.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.dead_letters import rate_of, since_ms
from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.listing import chosen_sagas
from sagas.cli.options import (
    ByOption,
    Output,
    OutputOption,
    ProjectOption,
    SagaOption,
    TimeoutOption,
    WhyOption,
    login,
)
from sagas.core.controls import Again
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.operating.errors import nearest

if TYPE_CHECKING:
    from sagas.cli.project import Project

__all__ = ["replay_compensations"]


StatusOption = Annotated[
    list[SagaStatus] | None,
    typer.Option("--status", case_sensitive=False, help="Only sagas in this status; several."),
]
StepOption = Annotated[
    list[str] | None,
    typer.Option("--step", metavar="STEP", help="Only where this step is left; several."),
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Changed since: 30m, 7d, 2026-01-31T12:00."),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Changed until then at the latest."),
]
IdOption = Annotated[
    list[str] | None, typer.Option("--id", metavar="SAGA_ID", help="Only this saga; several.")
]
IdsFromOption = Annotated[
    Path | None,
    typer.Option("--ids-from", metavar="FILE", help="Only the ids in this file, one a line."),
]
LetterOption = Annotated[
    str | None,
    typer.Option(
        "--dead-letter-reason",
        metavar="TEXT",
        help="Only sagas with an open dead letter whose reason has this text.",
    ),
]
AgainOption = Annotated[
    str | None,
    typer.Option(
        "--again",
        metavar="STEP",
        help="Run this step's compensation once more, also if it ran.",
    ),
]
EpochOption = Annotated[
    int,
    typer.Option("--epoch", min=1, max=999_999, help="With --again: for which time. Once each."),
]
FromTopicsOption = Annotated[
    bool,
    typer.Option("--from-topics", help="Choose by what the topics hold: the table has lost sagas."),
]
ExecuteOption = Annotated[
    bool, typer.Option("--execute", help="Do it. Without: show what would be asked.")
]
RateOption = Annotated[
    str | None,
    typer.Option("--rate", metavar="N/s", help="At most so many sagas a second, such as 10/s."),
]
WaitOption = Annotated[
    float,
    typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait for each one's end."),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Append a line of JSON for each saga; those undone in it already are passed over.",
    ),
]


def replay_compensations(
    *,
    saga: SagaOption = None,
    status: StatusOption = None,
    step: StepOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    id_: IdOption = None,
    ids_from: IdsFromOption = None,
    dead_letter_reason: LetterOption = None,
    again: AgainOption = None,
    epoch: EpochOption = 1,
    from_topics: FromTopicsOption = False,
    execute: ExecuteOption = False,
    rate: RateOption = None,
    wait: WaitOption = 30.0,
    report: ReportOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Have compensations run again that failed for good or were given up; or all of a step once more.

    A dry run unless --execute is given. Safe to run twice, and to interrupt.

    Example: [bold]sagas replay-compensations --status failed --rate 20/s --execute --why "mended"[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.replaying import Replaying, print_reports
    from sagas.cli.servers import read_settings
    from sagas.runtime.replay import Choice, Outcome

    if execute and not (why or "").strip():
        raise CommandError(
            ExitCode.USAGE, 'Say why, for those who look later: --why "the handler is mended".'
        )
    settings, opened = read_settings(), open_project(project)
    chosen = _one(opened, saga)
    choice = Choice(
        statuses=tuple(status or ()),
        steps=frozenset(_step(chosen, name) for name in step or ()),
        since_ms=since_ms(since),
        until_ms=None if until is None else since_ms(until, "--until"),
        ids=_ids(id_, ids_from),
    )
    replaying = Replaying(
        settings=settings,
        saga=chosen,
        sagas=opened.sagas(),
        from_topics=from_topics,
        services=[] if dead_letter_reason is None else list(chosen.definition.services),
        dead_letter_reason=dead_letter_reason,
        again=None if again is None else Again(_step(chosen, again), epoch),
        execute=execute,
        pause_s=rate_of(rate),
        wait_s=wait,
        report=report,
        by=by or login(),
        why=why or "",
        timeout_s=timeout,
    )
    reports = asyncio.run(replaying.run(choice))
    print_reports(reports, execute=execute, as_json=output is Output.JSON)
    if any(one.outcome in {Outcome.FAILED, Outcome.ASKED} for one in reports):
        raise typer.Exit(ExitCode.FINDINGS)


def _one(project: Project, name: str | None) -> type[Saga]:
    sagas = chosen_sagas(project, name)
    if len(sagas) > 1:
        names = " or ".join(f"--saga {one.name}" for one in sagas)
        raise CommandError(ExitCode.USAGE, f"The project has several sagas: say {names}.")
    return sagas[0]


def _step(saga: type[Saga], name: str) -> str:
    """The step, if it can be undone. Raises CommandError."""
    undoable = [step.name for step in saga.definition.steps if step.undone is not None]
    if name not in undoable:
        hint = nearest(name, undoable, "Its steps with a compensation")
        raise CommandError(
            ExitCode.USAGE, f"{saga.name} has no step {name!r} with a compensation.{hint}"
        )
    return name


def _ids(given: list[str] | None, file: Path | None) -> frozenset[str] | None:
    if given is None and file is None:
        return None
    ids = set(given or ())
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(
                ExitCode.USAGE, f"--ids-from {file} can not be read: {error}."
            ) from error
        ids.update(line.strip() for line in lines if line.strip())
    return frozenset(ids)
