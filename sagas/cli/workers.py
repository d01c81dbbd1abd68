"""``sagas workers``: which processes run the services, how they are, and how far behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import Output, OutputOption, ProjectOption, TimeoutOption

if TYPE_CHECKING:
    from rich.text import Text

    from sagas.cli.project import Project
    from sagas.ports.workers import WorkerReport
    from sagas.settings import SagaSettings
    from sagas.watching import ServiceStanding

__all__ = ["workers"]

_STYLES = {
    "running": "green",
    "starting": "yellow",
    "stopping": "yellow",
    "stopped": "bold red",
}


@dataclass(frozen=True, slots=True)
class _Found:
    standings: Sequence[ServiceStanding]
    problem: str | None
    now_ms: int


def workers(
    *,
    service: Annotated[
        str | None,
        typer.Option("--service", metavar="NAME", help="Only this one.", show_default=False),
    ] = None,
    output: OutputOption = Output.TABLE,
    json_: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Show which workers run, and how far behind each service is.

    Example: [bold]sagas workers --service payments[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    settings = read_settings()
    opened = open_project(project)
    found = asyncio.run(_look(settings, opened, service, timeout))
    if output is Output.JSON or json_:
        _print_json(found)
    else:
        _print_tables(found)


async def _look(
    settings: SagaSettings, project: Project, service: str | None, timeout_s: float
) -> _Found:
    """Redis has to answer; without Kafka the workers are shown all the same."""
    from sagas.adapters.clock import SystemClock
    from sagas.application import broker_admin
    from sagas.cli.servers import open_admin, open_registry
    from sagas.watching import standings, topics_read
    from sagas.wire.topics import Topics

    topics = Topics(settings.namespace)
    read = topics_read(project.sagas(), project.services(), topics)
    problem = None
    async with open_registry(settings, timeout_s) as registry:
        alone = await standings(read, registry, None, topics)
        try:
            async with open_admin(settings, timeout_s):
                admin = broker_admin(settings, client_id="sagas-cli", timeout_s=timeout_s)
                found = await standings(read, registry, admin, topics)
        except CommandError as error:
            if error.code is not ExitCode.UNAVAILABLE:
                raise
            found, problem = alone, str(error)
    shown = [one for one in found if service in {None, one.service}]
    if not shown:
        raise CommandError(ExitCode.USAGE, _unknown(service or "", found))
    return _Found(shown, problem, SystemClock().now_ms())


def _unknown(service: str, found: Sequence[ServiceStanding]) -> str:
    from sagas.operating.errors import nearest

    hint = nearest(service, (one.service for one in found), "Services there")
    return f"There is no service {service!r}.{hint}"


def _print_json(found: _Found) -> None:
    from sagas.cli.output import print_json

    print_json(
        {
            "services": [
                {
                    "service": one.service,
                    "workers": [_worker_json(worker) for worker in one.workers],
                    "behind": None if one.lag is None else one.lag.behind,
                    "waiting": None if one.lag is None else one.lag.waiting,
                    "partitions_behind": []
                    if one.lag is None
                    else [
                        {"topic": at.topic, "partition": at.partition, "behind": count}
                        for at, count in sorted(one.lag.partitions.items())
                    ],
                }
                for one in found.standings
            ],
            "problem": found.problem,
        }
    )


def _worker_json(worker: WorkerReport) -> dict[str, object]:
    from sagas.operating.moments import rfc3339

    error = worker.last_error
    return {
        "id": worker.id,
        "service": worker.service,
        "version": worker.version,
        "tags": list(worker.tags),
        "host": worker.host,
        "pid": worker.pid,
        "started_at": rfc3339(worker.started_at_ms),
        "seen_at": rfc3339(worker.seen_at_ms),
        "state": worker.state.value,
        "health": worker.health,
        "reason": worker.reason,
        "partitions": {topic: list(numbers) for topic, numbers in worker.partitions.items()},
        "in_flight": worker.in_flight,
        "last_error": None if error is None else {"at": rfc3339(error.at_ms), "error": error.words},
    }


def _print_tables(found: _Found) -> None:
    from sagas.cli.output import console, table

    out = console()
    services = table("service", "workers", "behind", "waiting", right=frozenset(_NUMBERS))
    for one in found.standings:
        services.add_row(
            one.service,
            str(len(one.workers)) if one.workers else "none",
            "?" if one.lag is None else str(one.lag.behind),
            "?" if one.lag is None else str(one.lag.waiting),
        )
    out.print(services)
    there = [worker for one in found.standings for worker in one.workers]
    if there:
        out.print()
        out.print(_workers_table(there, found.now_ms))
    for worker in there:
        for line in _remarks(worker, found.now_ms):
            out.print(line, soft_wrap=True)
    for one in found.standings:
        if not one.workers:
            out.print(f"{one.service}: no worker has said anything lately.", soft_wrap=True)
    if found.problem:
        out.print(f"How far behind they are is not known. {found.problem}", soft_wrap=True)


_NUMBERS = ("workers", "behind", "waiting", "partitions", "in flight")


def _workers_table(there: Sequence[WorkerReport], now_ms: int) -> object:
    from sagas.cli.output import table
    from sagas.operating.moments import duration

    columns = ("service", "process", "version", "state", "up", "seen", "partitions", "in flight")
    rows = table(*columns, right=frozenset(_NUMBERS))
    for worker in there:
        rows.add_row(
            worker.service,
            _process(worker),
            worker.version or "-",
            _state(worker),
            duration(max(0, now_ms - worker.started_at_ms)),
            f"{duration(max(0, now_ms - worker.seen_at_ms))} ago",
            str(sum(map(len, worker.partitions.values()))),
            str(worker.in_flight),
        )
    return rows


def _process(worker: WorkerReport) -> str:
    return f"{worker.host}/{worker.pid}"


def _state(worker: WorkerReport) -> Text:
    from rich.text import Text

    from sagas.core.printable import printable

    state = worker.state.value
    if worker.health and worker.health not in {"accepting", state}:
        return Text(printable(f"{state}, {worker.health}"), style="bold red")
    return Text(state, style=_STYLES.get(state, ""))


def _remarks(worker: WorkerReport, now_ms: int) -> list[str]:
    """What does not fit into a column."""
    from sagas.core.printable import printable
    from sagas.operating.moments import duration

    who, lines = f"{worker.service} on {_process(worker)}", []
    if worker.reason:
        lines.append(f"{who}: {worker.reason}")
    if worker.tags:
        lines.append(f"{who}: tags {', '.join(worker.tags)}")
    if worker.last_error is not None:
        ago = duration(max(0, now_ms - worker.last_error.at_ms))
        lines.append(f"{who}: last error {ago} ago, {worker.last_error.words}")
    return [printable(line) for line in lines]
