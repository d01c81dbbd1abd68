"""``sagas cancel``, ``compensate``, ``resume``, ``retry`` and ``skip``: what people ask of a saga.

Owns what can be typed, and its defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.asking import Asked, operate
from sagas.cli.errors import CommandError, ExitCode
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
from sagas.cli.payloads import content_of
from sagas.core.events import Event
from sagas.core.framework_events import (
    CancelRequested,
    CompensateRequested,
    ResumeRequested,
    RetryRequested,
)

if TYPE_CHECKING:
    from sagas.operating.lookup import Found

__all__ = ["cancel", "compensate", "resume", "retry", "skip"]

IdArgument = Annotated[
    str, typer.Argument(metavar="SAGA_ID", help="The business key, such as an order's id.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would follow, and publish nothing.")
]


def cancel(
    *,
    saga_id: IdArgument,
    saga: SagaOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Turn a saga back before its pivot is triggered: what was done is undone.

    Example: [bold]sagas cancel o-1042 --why "the customer called"[/bold]
    """
    asked = _asked(
        verb="cancelled",
        saga_id=saga_id,
        saga=saga,
        by=by,
        why=why,
        dry_run=dry_run,
        output=output,
        project=project,
        timeout_s=timeout,
    )
    operate(asked, lambda _: CancelRequested(by=asked.by, why=asked.why))


def resume(
    *,
    saga_id: IdArgument,
    saga: SagaOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Let a parked saga go on: what failed is tried again.

    Example: [bold]sagas resume o-1042 --why "the carrier is back"[/bold]
    """
    asked = _asked(
        verb="resumed",
        saga_id=saga_id,
        saga=saga,
        by=by,
        why=why,
        dry_run=dry_run,
        output=output,
        project=project,
        timeout_s=timeout,
    )
    operate(asked, lambda _: ResumeRequested(by=asked.by, why=asked.why))


def retry(
    *,
    saga_id: IdArgument,
    saga: SagaOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Have everything that is open in a saga tried now, also what waits for its next attempt.

    A parked saga is resumed. Example: [bold]sagas retry o-1042 --why "the bank is back"[/bold]
    """
    asked = _asked(
        verb="tried again",
        saga_id=saga_id,
        saga=saga,
        by=by,
        why=why,
        dry_run=dry_run,
        output=output,
        project=project,
        timeout_s=timeout,
    )
    operate(asked, lambda _: RetryRequested(by=asked.by, why=asked.why))


def compensate(
    *,
    saga_id: IdArgument,
    saga: SagaOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Give a saga up before its pivot, parked or not: it turns back, and goes on from there.

    Example: [bold]sagas compensate o-1042 --why "the depot has burnt down"[/bold]
    """
    asked = _asked(
        verb="turned back",
        saga_id=saga_id,
        saga=saga,
        by=by,
        why=why,
        dry_run=dry_run,
        output=output,
        project=project,
        timeout_s=timeout,
    )
    operate(asked, lambda _: CompensateRequested(by=asked.by, why=asked.why))


def skip(
    *,
    saga_id: IdArgument,
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT", help="The done or undone event of the step, such as StockReleased."
        ),
    ],
    payload: Annotated[
        str | None,
        typer.Option(
            "--payload",
            metavar="JSON|@FILE",
            help="What the event carries. Default: the business key alone.",
            show_default=False,
        ),
    ] = None,
    saga: SagaOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Say that the step a saga is parked for was done, or undone, by hand, and let the saga go on.

    Example: [bold]sagas skip o-1042 StockReleased --why "put back by hand"[/bold]
    """
    asked = _asked(
        verb="skipped",
        saga_id=saga_id,
        saga=saga,
        by=by,
        why=why,
        dry_run=dry_run,
        output=output,
        project=project,
        timeout_s=timeout,
    )
    content = None if payload is None else content_of(payload)

    def request(found: Found) -> Event:
        from sagas.operating.asking import skip_request

        return skip_request(found.saga, found.saga_id, event, content, by=asked.by, why=asked.why)

    operate(asked, request)


def _asked(
    *,
    verb: str,
    saga_id: str,
    saga: str | None,
    by: str | None,
    why: str | None,
    dry_run: bool,
    output: Output,
    project: Path | None,
    timeout_s: float,
) -> Asked:
    if not dry_run and not (why or "").strip():
        raise CommandError(
            ExitCode.USAGE, 'Say why, for those who look later: --why "the customer called".'
        )
    return Asked(
        verb=verb,
        saga_id=saga_id,
        saga=saga,
        by=by or login(),
        why=why or "",
        dry_run=dry_run,
        output=output,
        project=project,
        timeout_s=timeout_s,
    )
