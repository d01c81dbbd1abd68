"""``sagas rebuild`` and ``sagas verify``: the table from the topics, and whether the two agree.

Owns what is said about it. How it is done safely is the runtime's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.listing import chosen_sagas
from sagas.cli.options import Output, OutputOption, ProjectOption, SagaOption, TimeoutOption
from sagas.core.saga import Saga
from sagas.ports import BUCKETS

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.runtime.rebuild import Means, Rebuilt
    from sagas.runtime.verification import Difference

__all__ = ["open_means", "rebuild", "verify"]

BucketOption = Annotated[
    list[int] | None,
    typer.Option(
        "--bucket",
        min=0,
        max=BUCKETS - 1,
        metavar="N",
        help=f"Only this bucket, 0 to {BUCKETS - 1}; may be given several times.",
        show_default=False,
    ),
]
SagaIdOption = Annotated[
    str | None,
    typer.Option("--saga-id", metavar="ID", help="Only this instance.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class _Verified:
    """What was compared, and what differs."""

    instances: int
    records: int
    differences: Sequence[Difference]


def rebuild(
    *,
    saga: SagaOption = None,
    bucket: BucketOption = None,
    saga_id: SagaIdOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what the topics hold; change nothing.")
    ] = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Rebuild the saga table from the topics: all of it, some buckets, or one instance.

    Workers do so by themselves when they notice a loss. Safe while they run, and to repeat.

    Example: [bold]sagas rebuild --saga order-fulfilment[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    if saga_id is not None and (bucket or dry_run):
        raise CommandError(
            ExitCode.USAGE, "--saga-id names one instance: leave out --bucket and --dry-run."
        )
    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)
    if saga_id is not None:
        asyncio.run(_restore(settings, sagas, saga_id, timeout))
        return
    buckets = frozenset(bucket) if bucket else frozenset(range(BUCKETS))
    done = asyncio.run(_rebuild(settings, sagas, buckets, timeout, dry_run=dry_run))
    if output is Output.JSON:
        from sagas.cli.output import print_json

        lines = [{"saga": name, "dry_run": dry_run, **asdict(one)} for name, one in done]
        print_json({"rebuilt": lines})
    else:
        _print_rebuilt(done, dry_run=dry_run)


async def _rebuild(
    settings: SagaSettings,
    sagas: Sequence[type[Saga]],
    buckets: Collection[int],
    timeout_s: float,
    *,
    dry_run: bool,
) -> list[tuple[str, Rebuilt]]:
    from sagas.runtime.rebuild import Progress, Rebuild

    done = []
    async with open_means(settings, sagas, timeout_s) as all_means:
        for means in all_means:
            work = Rebuild(means)
            with _progress(f"reading {means.saga.name}") as advance:

                def told(progress: Progress, advance: Callable[[int, int], None] = advance) -> None:
                    advance(progress.portions, progress.portions_all)

                if dry_run:
                    rebuilt: Rebuilt | None = await work.outlook(buckets, on_progress=told)
                else:
                    rebuilt = await work.run(buckets, on_progress=told)
            if rebuilt is None:
                raise CommandError(
                    ExitCode.REFUSED,
                    f"Somebody else is rebuilding {means.saga.name} now. Wait until that is done; one "
                    "that has died gives way after half a minute.",
                )
            done.append((means.saga.name, rebuilt))
    return done


async def _restore(
    settings: SagaSettings, sagas: Sequence[type[Saga]], saga_id: str, timeout_s: float
) -> None:
    from sagas.cli.output import console
    from sagas.runtime.restorer import Restorer

    async with open_means(settings, sagas, timeout_s) as all_means:
        found = [
            means.saga.name for means in all_means if await Restorer(means).restore(saga_id, None)
        ]
    if not found:
        looked = ", ".join(one.name for one in sagas)
        raise CommandError(
            ExitCode.NOT_FOUND,
            f"The topics of {looked} hold no start of {saga_id!r}: nothing is done.",
        )
    for name in found:
        console().print(f"{name} {saga_id} has all that the topics know of it.")


def verify(
    *,
    saga: SagaOption = None,
    saga_id: SagaIdOption = None,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Compare the saga table with the topics; ends with 1 if they differ. Changes nothing.

    Example: [bold]sagas verify --saga order-fulfilment[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)
    found = asyncio.run(_verify(settings, sagas, saga_id, timeout))
    if output is Output.JSON:
        from sagas.cli.output import print_json

        print_json(asdict(found))
    else:
        _print_verified(found)
    if found.differences:
        raise typer.Exit(ExitCode.FINDINGS)


async def _verify(
    settings: SagaSettings, sagas: Sequence[type[Saga]], saga_id: str | None, timeout_s: float
) -> _Verified:
    from sagas.application import broker_admin
    from sagas.runtime.verification import Verification
    from sagas.wire.topics import Topics

    differences: list[Difference] = []
    instances = records = 0
    topics = Topics(settings.namespace)
    admin = broker_admin(settings, client_id="sagas-cli", timeout_s=timeout_s)
    async with open_means(settings, sagas, timeout_s) as all_means:
        for means in all_means:
            definition = means.saga.definition
            names = [topics.events(one) for one in definition.services]
            names.append(topics.control(definition.saga))
            kept = (await admin.retention_ms(names)).values()
            verification = Verification(means, retention_ms=min(kept, default=-1))
            with _progress(f"comparing {means.saga.name}") as advance:
                looking = verification.differences(
                    wanted=lambda one: saga_id in {None, one}, on_progress=advance
                )
                differences += [one async for one in looking]
            instances += verification.instances
            records += verification.records
    return _Verified(instances, records, differences)


@asynccontextmanager
async def open_means(
    settings: SagaSettings, sagas: Sequence[type[Saga]], timeout_s: float
) -> AsyncIterator[list[Means]]:
    """What it takes, for each saga. How long all of it may take depends on how much there is."""
    from sagas.adapters.clock import RandomIds, SystemClock
    from sagas.application import broker_admin
    from sagas.cli.servers import open_broker, open_table
    from sagas.runtime.histories import Histories
    from sagas.runtime.rebuild import Means
    from sagas.runtime.waking import Waker
    from sagas.wire.topics import Topics

    topics, clock = Topics(settings.namespace), SystemClock()
    reader = broker_admin(settings, client_id="sagas-cli", timeout_s=timeout_s)
    async with (
        open_table(settings, timeout_s, within_s=_DAY_S) as table,
        open_broker(settings, timeout_s) as broker,
    ):
        yield [
            Means(
                saga=saga,
                histories=Histories(saga, sagas, topics=topics, reader=reader),
                table=table,
                waker=Waker(topics=topics, broker=broker, clock=clock),
                clock=clock,
                ids=RandomIds(),
                keep_ended_ms=settings.keep_ended_ms,
            )
            for saga in sagas
        ]


_DAY_S = 86_400.0


@contextmanager
def _progress(words: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(
        console=(err := Console(stderr=True)), disable=not err.is_terminal, transient=True
    ) as bar:
        task = bar.add_task(words, total=None)

        def advance(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        yield advance


def _print_rebuilt(done: Sequence[tuple[str, Rebuilt]], *, dry_run: bool) -> None:
    from sagas.cli.output import console, status_text, table

    out = console()
    rows = table("saga", "status", "instances", right=frozenset({"instances"}))
    for name, one in done:
        for status, count in sorted(one.by_status.items()):
            rows.add_row(name, status_text(status), str(count))
    if rows.row_count:
        out.print(rows)
        out.print()
    for name, one in done:
        verb = "would be put back" if dry_run else "are put back"
        generation = "" if dry_run else f", generation {one.generation}"
        out.print(
            f"{name}: {one.instances} instances {verb}, {one.records} records read{generation}."
        )
        if one.without_start:
            out.print(f"  Of {one.without_start} others the topics do not hold the start any more.")
        if one.unreadable:
            out.print(
                f"  {one.unreadable} rows of another version were rebuilt from the topics alone."
            )


def _print_verified(found: _Verified) -> None:
    from sagas.cli.output import console, table

    out = console()
    rows = table("saga", "id", "what", "table", "topics")
    for one in found.differences:
        rows.add_row(one.saga, one.saga_id, one.kind.value, one.table, one.topics)
    if found.differences:
        out.print(rows)
        out.print()
        out.print(
            f"{len(found.differences)} differences in {found.instances} instances. "
            "`sagas rebuild --saga-id ID` puts one right, `sagas rebuild` all.",
            soft_wrap=True,
        )
    else:
        out.print(f"{found.instances} instances agree with {found.records} records.")
