"""``sagas run``: services as a process, from start to drained.

Owns signals, the event loop, and the order in which things are opened. Waits for servers that are
away; ends only when told to, or when something is wrong that waiting does not mend.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from sagas.cli.collecting import collect_less
from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import ProjectOption
from sagas.cli.probes import STALLED_AFTER_MS
from sagas.cli.watching import (
    MetricsOption,
    metrics_asked_for,
    metrics_routes,
    traced_by,
    watch_workers,
)
from sagas.core.errors import SagaError
from sagas.observability.events import LogEvent

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.cli.project import Project
    from sagas.core.saga import Saga
    from sagas.observability.prometheus import Metrics
    from sagas.runtime.assembly import Platform, ServiceRunner
    from sagas.service import Service

__all__ = ["run"]

_YOUNG = 100_000
"""What is imported by now stays. A message makes hundreds of objects and no cycle, so looking for cycles
after every 700 more was a tenth of what it costs. Some hundred messages in hand come and go in waves of
tens of thousands of objects: with 20,000 it was still 8 %, with 100,000 it is below 1 %.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What the command line asked for, resolved."""

    settings: SagaSettings
    services: Sequence[Service]
    sagas: Sequence[type[Saga]]
    embedded: bool
    create_topics: bool
    accepted: frozenset[str]
    livez: tuple[str, int] | None
    metrics: Metrics | None


_AcceptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-definition",
        metavar="FINGERPRINT",
        help="Start although sagas may run under that definition, and can not all finish under this one.",
        show_default=False,
    ),
]


_LivezPortOption = Annotated[
    int | None,
    typer.Option(
        "--livez-port",
        min=0,
        max=65535,
        metavar="PORT",
        help="Answer /livez, /readyz and /health there, for an orchestrator; needs the extra 'web'.",
        show_default=False,
    ),
]


def run(
    *,
    services: Annotated[
        list[str] | None,
        typer.Argument(metavar="SERVICE", help="The services to run.", show_default=False),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Run every service of the project in this process.")
    ] = False,
    embedded: Annotated[
        bool,
        typer.Option(
            "--embedded", help="All services without any server: in memory, gone when it ends."
        ),
    ] = False,
    create_topics: Annotated[
        bool,
        typer.Option(
            "--create-topics",
            envvar="SAGAS_CREATE_TOPICS",
            help="Create missing topics instead of refusing to start.",
        ),
    ] = False,
    accept_definition: _AcceptOption = None,
    livez_port: _LivezPortOption = None,
    livez_host: Annotated[
        str, typer.Option("--livez-host", metavar="HOST", help="Where they are answered.")
    ] = "0.0.0.0",  # noqa: S104 - a probe comes from outside of the container
    metrics: MetricsOption = None,
    project: ProjectOption = None,
) -> None:
    """Run services until SIGTERM or Ctrl-C, then finish what is begun; a second one ends at once.

    Example: [bold]sagas run inventory payments --create-topics --livez-port 8080[/bold]
    """
    from sagas.application import SagaSettings
    from sagas.cli.project import open_project
    from sagas.observability.logs import configure_logs

    settings = SagaSettings()
    opened = open_project(project)
    if not settings.service_version:
        settings = settings.model_copy(update={"service_version": opened.told()[1]})
    chosen = _chosen(opened, services or [], everything=everything, embedded=embedded)
    sagas = opened.sagas()
    for service in chosen:
        service.check(sagas)
    plan = _Plan(
        settings=settings,
        services=chosen,
        sagas=tuple(dict.fromkeys((*sagas, *(s for one in chosen for s in one.sagas)))),
        embedded=embedded,
        create_topics=create_topics,
        accepted=frozenset(accept_definition or ()),
        livez=None if livez_port is None else (livez_host, livez_port),
        metrics=metrics_asked_for(metrics, served=livez_port is not None),
    )
    configure_logs(settings.log_level, settings.log_format)
    collect_less(_YOUNG)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(plan))


def _chosen(
    project: Project, names: Sequence[str], *, everything: bool, embedded: bool
) -> tuple[Service, ...]:
    if (everything or embedded) and names:
        option = "--embedded" if embedded else "--all"
        raise CommandError(
            ExitCode.USAGE,
            f"{option} runs every service: leave out {' '.join(names)}, or leave out {option}.",
        )
    if everything or embedded:
        services = project.services()
        if not services:
            raise CommandError(ExitCode.USAGE, f"{project.file}: [tool.sagas] names no services.")
        return services
    if not names:
        raise CommandError(
            ExitCode.USAGE,
            "Which services? Name them, as in `sagas run inventory`, or run all with --all.",
        )
    return tuple(project.service_named(name) for name in dict.fromkeys(names))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where it is installed: about a third less time per message."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(plan: _Plan) -> None:
    asked, stop, started = asyncio.Event(), asyncio.Event(), asyncio.Event()
    _on_signals(asked, stop)
    runners: list[ServiceRunner] = []
    async with AsyncExitStack() as stack:
        if plan.livez is not None:
            from sagas.cli.probes import answering

            host, port = plan.livez
            names = [service.name for service in plan.services]
            more = metrics_routes(plan.metrics)
            answers = answering(names, runners, host=host, port=port, more=more)
            await stack.enter_async_context(answers)
        work = asyncio.create_task(_work(plan, stop, started, runners.extend))
        waiting = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not started.is_set():
                work.cancel()  # it still waits for a server: there is nothing to drain
            await _ended(work)
        finally:
            waiting.cancel()


async def _ended(work: asyncio.Task[None]) -> None:
    """Wait for the end, telling what is wrong: with a traceback only if it is unforeseen."""
    import structlog

    await asyncio.wait((work,))
    error = None if work.cancelled() else work.exception()
    if error is None:
        return
    if isinstance(error, SagaError | ValidationError):
        raise error
    log = structlog.get_logger()
    log.error(LogEvent.RUN_FAILED, error=f"{type(error).__name__}: {error}", exc_info=error)
    raise CommandError(
        ExitCode.FINDINGS, f"A service has failed with {type(error).__name__}: {error}"
    ) from error


async def _work(
    plan: _Plan,
    stop: asyncio.Event,
    started: asyncio.Event,
    on_created: Callable[[Sequence[ServiceRunner]], None],
) -> None:
    from sagas.application import run_services
    from sagas.telemetry import measured

    def created(runners: Sequence[ServiceRunner]) -> None:
        on_created(runners)
        watch_workers(plan.metrics, runners, stalled_after_ms=STALLED_AFTER_MS)

    names = [service.name for service in plan.services]
    async with (
        _platform(plan) as opened,
        traced_by(os.environ, opened, names) as traced,
    ):
        platform = traced if plan.metrics is None else measured(traced, plan.metrics)
        await run_services(
            plan.services, platform, stop=stop, on_created=created, on_running=started.set
        )


@asynccontextmanager
async def _platform(plan: _Plan) -> AsyncIterator[Platform]:
    from sagas.application import embedded_platform, real_platform

    if plan.embedded:
        async with embedded_platform(plan.settings.namespace) as platform:
            yield platform
        return
    await _ensure_topics(plan)
    client_id = "-".join(service.name for service in plan.services)
    async with real_platform(plan.settings, client_id=client_id) as platform:
        await _admit(plan, platform)
        yield platform


async def _admit(plan: _Plan, platform: Platform) -> None:
    """Not beside sagas that these services can not finish."""
    from sagas.adapters.clock import SystemClock
    from sagas.admitting import admit, definition_book
    from sagas.runtime.patience import Patience

    sagas = dict.fromkeys(saga for service in plan.services for saga in service.sagas)
    book = definition_book(plan.settings)
    await Patience(SystemClock(), pause_s=0.5).insist(
        lambda: admit(sagas, platform.table, book, accepted=plan.accepted)
    )


async def _ensure_topics(plan: _Plan) -> None:
    import structlog

    from sagas.adapters.clock import SystemClock
    from sagas.application import TopicsMissing, broker_admin, ensure_topics, topics_of
    from sagas.runtime.patience import Patience
    from sagas.runtime.retention import check_retention

    wanted = topics_of(plan.sagas, plan.services, plan.settings)
    admin = broker_admin(plan.settings, client_id="sagas-run")
    try:
        created = await ensure_topics(wanted, admin, create=plan.create_topics)
    except TopicsMissing as error:
        raise CommandError(ExitCode.DIFFERENCES, str(error)) from error
    if created:
        structlog.get_logger().info(LogEvent.TOPICS_CREATED, topics=list(created))
    keep_ms, names = plan.settings.keep_ended_ms, [topic.name for topic in wanted]
    patience = Patience(SystemClock(), pause_s=0.5)
    await patience.insist(lambda: check_retention(names, admin, keep_ended_ms=keep_ms))


def _on_signals(*events: asyncio.Event) -> None:
    """The first signal sets the events; the second ends the process at once, as a kill would."""
    import structlog

    log = structlog.get_logger()
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def handle(received_now: signal.Signals) -> None:
        if received:
            os._exit(128 + received_now)
        received.append(received_now)
        log.info(LogEvent.DRAIN_STARTED, signal=received_now.name)
        for event in events:
            event.set()

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, handle, one)
