"""``sagas check``: whether sagas and services are declared well, without any server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sagas.checks import Deployed, Finding, Subject, declared
from sagas.checks import check as find
from sagas.cli.declared import deployed_of
from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.findings import (
    as_findings,
    counted,
    explain,
    failing,
    findings_json,
    print_findings,
)
from sagas.cli.model import (
    AtOnceOption,
    Explored,
    FaultsOption,
    ModelOption,
    StatesOption,
    bounds_of,
    explored,
    model_findings,
    model_json,
    print_model,
)
from sagas.cli.options import Output, OutputOption, ProjectOption
from sagas.core.definition import START, Join, StepDefinition
from sagas.core.errors import DefinitionError
from sagas.core.saga import Saga

if TYPE_CHECKING:
    from sagas.cli.project import Project
    from sagas.service import Service

__all__ = ["check"]

T = TypeVar("T")

_WIDE = 90
"""Columns of a terminal from which the compensations have room, too."""


_RetentionOption = Annotated[
    str | None,
    typer.Option(
        "--retention",
        metavar="SPAN",
        help="How long topics keep records at least, such as 14d. Default: what \\[tool.sagas] says.",
        show_default=False,
    ),
]
_AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        metavar="FILE|MODULE",
        help="A saga as it is deployed, an exported JSON file or a module: whether this one finishes what "
        "that one has begun, and reads what it has written. May be repeated.",
        show_default=False,
    ),
]


@dataclass(slots=True)
class _Findings:
    sagas: list[type[Saga]] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    deployed: dict[str, Deployed] = field(default_factory=dict)
    explored: list[Explored] = field(default_factory=list)
    misplaced: bool = False

    @property
    def unproven(self) -> int:
        """Of how many sagas the model checker was asked, and could not prove everything."""
        return sum(not result.proven for _, result in self.explored)


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODULE[:SAGA]",
            help="Only these: the sagas and services of a module, or one saga. Default: all that "
            "\\[tool.sagas] names.",
            show_default=False,
        ),
    ] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings end with 1, too.")] = False,
    retention: _RetentionOption = None,
    against: _AgainstOption = None,
    explain_code: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="CODE",
            help="Say what a check is for, such as S13.",
            show_default=False,
        ),
    ] = None,
    transitions: Annotated[
        bool, typer.Option("--transitions", help="Print what every event does in every situation.")
    ] = False,
    model: ModelOption = False,
    states: StatesOption = 1_000_000,
    faults: FaultsOption = None,
    at_once: AtOnceOption = 1,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
) -> None:
    """Check sagas and services; needs no server. Ends with 1 if there is something to mend.

    Example: [bold]sagas check events.orders:Ordering --strict[/bold], and before a deployment
    [bold]sagas check --against deployed.json[/bold]
    """
    if transitions:
        from sagas.core.transitions import render

        typer.echo(render())
        return
    if explain_code is not None:
        typer.echo(explain(explain_code))
        return
    from sagas.cli.project import open_named

    opened = open_named(project, named=bool(names))
    found = _find(opened, names)
    found.deployed = {entry: _deployed(entry, opened, found) for entry in against or ()}
    found.findings = find(
        Subject(
            sagas=tuple(map(declared, found.sagas)),
            services=tuple(found.services),
            deployed=tuple(found.deployed.values()),
            retention_ms=_kept_ms(retention, opened),
        )
    )
    quiet = as_json or output is Output.JSON
    if model:
        found.explored = explored(found.sagas, bounds_of(faults, states, at_once), quiet=quiet)
        found.findings = [*model_findings(found.explored), *found.findings]
    if quiet:
        _print_json(found, opened.directory)
    else:
        _print_tables(found, opened.directory)
    if found.unproven or found.problems or failing(found.findings, strict=strict):
        raise typer.Exit(ExitCode.USAGE if found.misplaced else ExitCode.FINDINGS)


def _deployed(entry: str, project: Project, found: _Findings) -> Deployed:
    """What runs, of a saga that is checked. Raises CommandError for another one."""
    deployed = deployed_of(entry, project)
    name = deployed.definition.saga
    here = [saga.name for saga in found.sagas]
    if name not in here and not found.problems:
        raise CommandError(
            ExitCode.USAGE,
            f"{entry} is the saga {name}, and checked is {' and '.join(here) or 'no saga'}: compare a saga "
            "with its own deployed version.",
        )
    return deployed


def _kept_ms(given: str | None, project: Project) -> int | None:
    from sagas.cli.project import kept_ms

    return project.retention_ms if given is None else kept_ms(given, "--retention")


def _find(project: Project, named: Sequence[str] | None) -> _Findings:
    """Everything that is wrong, not only the first of it."""
    found = _Findings()
    for entry in named or project.saga_entries:
        if named and ":" not in entry:
            _add_module(found, project, entry)
        else:
            _add(found, found.sagas, project.saga, entry)
    for entry in () if named else project.service_entries:
        _add(found, found.services, project.service, entry)
    for service in found.services:
        try:
            service.check(found.sagas)
        except DefinitionError as error:
            found.problems.append(str(error))
    if not found.sagas and not found.services and not found.problems:
        what = " and ".join(named) if named else f"{project.file}: [tool.sagas]"
        raise CommandError(
            ExitCode.USAGE, f"{what} names nothing to check: no saga and no service."
        )
    return found


def _add_module(found: _Findings, project: Project, name: str) -> None:
    both: list[tuple[list[type[Saga]], list[Service]]] = []
    _add(found, both, project.declared_in, name)
    for sagas, services in both:
        found.sagas += [one for one in sagas if one not in found.sagas]
        found.services += [one for one in services if one not in found.services]


def _add(found: _Findings, to: list[T], load: Callable[[str], T], entry: str) -> None:
    try:
        to.append(load(entry))
    except CommandError as failure:
        text = str(failure)
        if text not in found.problems:
            found.problems.append(text)
            if isinstance(failure.__cause__, DefinitionError):
                found.refused += as_findings(failure.__cause__, text.partition(": ")[0])
        found.misplaced = found.misplaced or failure.code is ExitCode.USAGE


def _absent(found: _Findings) -> dict[str, list[str]]:
    """Participants without a service in the project: no problem, they may live elsewhere."""
    here = {service.name for service in found.services}
    named = {saga.name: saga.definition.services for saga in found.sagas}
    return {saga: [one for one in services if one not in here] for saga, services in named.items()}


def _print_json(found: _Findings, directory: Path) -> None:
    from sagas.cli.output import print_json

    print_json(
        {
            "sagas": [_saga_json(saga) for saga in found.sagas],
            "services": [
                {"name": service.name, "sagas": [saga.name for saga in service.sagas]}
                for service in found.services
            ],
            "deployed": [
                {
                    "from": entry,
                    "saga": one.definition.saga,
                    "fingerprint": one.definition.fingerprint,
                }
                for entry, one in found.deployed.items()
            ],
            "problems": found.problems,
            "findings": findings_json([*found.refused, *found.findings], directory),
            "model": model_json(found.explored),
        }
    )


def _saga_json(saga: type[Saga]) -> dict[str, object]:
    definition = saga.definition
    return {
        "name": saga.name,
        "key": definition.key,
        "fingerprint": definition.fingerprint,
        "services": list(definition.services),
        "steps": [
            {
                "name": step.name,
                "service": step.service,
                "kind": definition.kinds[step.name].value,
                "on": list(step.triggers),
                "join": step.join.value,
                "done": list(step.done),
                "refused": list(step.refused),
                "undone": step.undone,
                "state": step.state,
            }
            for step in definition.steps
        ],
    }


def _print_tables(found: _Findings, directory: Path) -> None:
    from rich.text import Text

    from sagas.cli.output import console, table

    out = console()
    wide = out.width >= _WIDE
    for saga in found.sagas:
        definition = saga.definition
        told = f"  key {definition.key}  {definition.fingerprint}"
        out.print(Text.assemble((saga.name, "bold"), told))
        rows = table("step", "service", "kind", "on", *(("undone by",) if wide else ()))
        for step in definition.steps:
            kind = definition.kinds[step.name].value
            undone = (_short(step.undone or ""),) if wide else ()
            rows.add_row(step.name, step.service, kind, _triggers(step), *undone)
        out.print(rows)
        out.print()
    if found.services:
        for name, absent in _absent(found).items():
            if absent:
                out.print(
                    f"{name}: {', '.join(absent)} not among the services of this project.",
                    soft_wrap=True,
                )
    checked = [saga.name for saga in found.sagas]
    for entry, deployed in found.deployed.items():
        name, fingerprint = deployed.definition.saga, deployed.definition.fingerprint
        if name in checked:
            told = f"{name}: against {entry}, {fingerprint}."
            out.print(told, markup=False, soft_wrap=True)
    print_findings(out, found.findings, directory)
    print_model(out, found.explored)
    for problem in found.problems:
        out.print(f"problem: {problem}", style="red", markup=False, soft_wrap=True)
    out.print(_summary(found), soft_wrap=True)


def _triggers(step: StepDefinition) -> str:
    if step.name == START:
        return ""
    return (" or " if step.join is Join.ANY else " and ").join(map(_short, step.triggers))


def _short(type_: str) -> str:
    return type_.split(".")[1] if "." in type_ else type_


def _summary(found: _Findings) -> str:
    checked = (
        f"{_counted(len(found.sagas), 'saga')}, {_counted(len(found.services), 'service')} checked"
    )
    problems = _counted(len(found.problems), "problem") if found.problems else ""
    unproven = found.unproven
    model = f"{_counted(unproven, 'saga')} not proven" if unproven else ""
    told = ", ".join(one for one in (problems, model, counted(found.findings)) if one)
    return f"{checked}: {told or 'ok'}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
