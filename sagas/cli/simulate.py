"""``sagas simulate``: the project's own services under everything that can go wrong, without any server."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagas.cli.collecting import collect_less
from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import Output, OutputOption, ProjectOption

if TYPE_CHECKING:
    from sagas.cli.project import Project
    from sagas.testing.simulation import CrashAt, Faults, Report, Simulation, Workload

__all__ = ["simulate"]

_YOUNG = 20_000
"""A run leaves some thousand objects in cycles: its own loop, tasks and cut off workers. Looking for them
among all that is imported was a quarter of what a run costs, and processes that are forked inherit this.
"""

_CRASH_AT = re.compile(r"(?P<number>[1-9][0-9]*)(?P<after>\+?)")

_EveryOption = Annotated[
    bool,
    typer.Option(
        "--crash-every-call",
        help="Each seed once for every call to a server: there the worker dies, before and after.",
    ),
]
_CrashAtOption = Annotated[
    str | None,
    typer.Option(
        "--crash-at",
        metavar="N[+]",
        help="With --seed: the worker dies at call N; with + after it.",
        show_default=False,
    ),
]


def simulate(  # noqa: PLR0917 - typer's parameters are never given by position
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE:NAME",
            help="A saga, or a function that makes the setting of a seed. Default: all services that "
            "\\[tool.sagas] names.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="So many seeds, from 0 on.")] = 1000,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Only this seed.", show_default=False)
    ] = None,
    faults: Annotated[
        str | None,
        typer.Option(
            "--faults",
            metavar="NAMES",
            help="Only these faults, with commas; none for none. Default: all that are survived.",
            show_default=False,
        ),
    ] = None,
    sagas_per_seed: Annotated[
        int, typer.Option("--sagas-per-seed", min=1, help="So many sagas start in each run.")
    ] = 1,
    crash_every_call: _EveryOption = False,
    crash_at: _CrashAtOption = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="In so many processes.")] = 1,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
) -> None:
    """Run sagas on memory while workers die, calls are lost and records are doubled. Ends with 1 if a
    run broke an invariant.

    Example: [bold]sagas simulate shop.simulation:orders --seeds 1000 --jobs 2[/bold]
    """
    from sagas.core.errors import ContractViolation
    from sagas.testing.simulation import Simulation

    at = _crash_at(crash_at, seed)
    workload = _workload(_opened(project, what), what)
    try:
        simulation = Simulation(
            workload,
            faults=_faults(faults),
            sagas_per_seed=sagas_per_seed,
            crash_every_call=crash_every_call,
            again=f"sagas simulate {what}" if what else "sagas simulate",
        )
        workload(0)  # what can not be run at all is one line, and no traceback from another process
    except ContractViolation as error:
        raise CommandError(ExitCode.USAGE, str(error)) from error
    chosen = range(seeds) if seed is None else [seed]
    report = _run(simulation, chosen, at, jobs, quiet=output is Output.JSON)
    _print(report, output)
    if not report.ok:
        raise typer.Exit(ExitCode.FINDINGS)


def _run(
    simulation: Simulation, seeds: Sequence[int], at: CrashAt | None, jobs: int, *, quiet: bool
) -> Report:
    collect_less(_YOUNG)
    if at is not None:
        return simulation.single(seeds[0], at)
    with _progress(len(seeds), quiet=quiet) as told:
        return simulation.campaign(seeds, jobs=jobs, told=told)


def _print(report: Report, output: Output) -> None:
    from sagas.cli.output import console, print_json

    if output is Output.JSON:
        print_json(report.to_json())
        return
    console().print(str(report), style=None if report.ok else "red", markup=False, soft_wrap=True)


def _opened(given: Path | None, what: str | None) -> Project:
    """What is named on the command line needs no project unless it is a saga: it is imported from here."""
    from sagas.cli.project import Project, open_project

    try:
        return open_project(given)
    except CommandError:
        if given is None and what is not None:
            return Project(Path.cwd() / "pyproject.toml", (), ())
        raise


def _workload(project: Project, what: str | None) -> Workload:
    from sagas.core.saga import Saga
    from sagas.testing.simulation import Setting

    found: Any = None if what is None else project.named(what)
    if found is not None and not isinstance(found, type):
        if not callable(found):
            raise CommandError(
                ExitCode.USAGE,
                f"{what} is {found!r:.60}; expected a saga, or a function of a seed that returns a "
                "Setting.",
            )
        workload: Workload = found
        return workload
    if found is not None and not issubclass(found, Saga):
        raise CommandError(ExitCode.USAGE, f"{what} is {found.__name__}, which is no saga.")
    services = [
        service for service in project.services() if found is None or found in service.sagas
    ]
    return lambda _: Setting(services=services)


def _faults(names: str | None) -> Faults:
    from sagas.testing.simulation import Faults

    if names is None:
        return Faults()
    if names == "none":
        return Faults.none()
    return Faults.of(name.strip() for name in names.split(","))


def _crash_at(text: str | None, seed: int | None) -> CrashAt | None:
    from sagas.testing.simulation import CrashAt

    if text is None:
        return None
    found = _CRASH_AT.fullmatch(text)
    if found is None or seed is None:
        raise CommandError(
            ExitCode.USAGE,
            f"--crash-at {text}: expected the number of a call, such as 17, or 17+ for after it; and "
            "--seed, which says of which run.",
        )
    return CrashAt(int(found["number"]), after=bool(found["after"]))


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[Report], None]]:
    """A bar on a terminal, on standard error; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("seeds"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("seeds", total=total, failed=0)
        yield lambda report: bar.update(task, completed=report.seeds, failed=report.failed)
