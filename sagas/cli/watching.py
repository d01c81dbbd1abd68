"""Whether a worker's process is measured and traced, as the command line and the environment say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.observability.events import LogEvent

if TYPE_CHECKING:
    from starlette.routing import Route

    from sagas.observability.prometheus import Metrics
    from sagas.runtime.assembly import Platform, ServiceRunner

__all__ = ["MetricsOption", "metrics_asked_for", "metrics_routes", "traced_by", "watch_workers"]


MetricsOption = Annotated[
    bool | None,
    typer.Option(
        "--metrics/--no-metrics",
        help="Answer /metrics beside /livez, for Prometheus. Usual with --livez-port where the extra "
        "'metrics' is installed.",
        show_default=False,
    ),
]


def metrics_asked_for(asked: bool | None, *, served: bool) -> Metrics | None:
    """Metrics where there is a server to give them out, and the extra is installed or asked for.

    Raises CommandError where they are asked for and can not be had.
    """
    if asked and not served:
        raise CommandError(
            ExitCode.USAGE, "--metrics is answered beside /livez: give --livez-port as well."
        )
    if asked is False or not served:
        return None
    try:
        from sagas.observability.prometheus import Metrics
    except ImportError as error:
        if asked is None:
            return None
        raise CommandError(
            ExitCode.USAGE,
            f"--metrics needs the extra 'metrics' ({error.name} is not installed): install this project as "
            "'sagas-choreography[metrics]', from its clone: pip install '/path/to/clone[metrics]'.",
        ) from error
    return Metrics()


def metrics_routes(metrics: Metrics | None) -> Sequence[Route]:
    """What is answered beside ``/livez``."""
    if metrics is None:
        return ()
    from sagas.web.metrics import metrics_route

    return (metrics_route(metrics),)


def watch_workers(
    metrics: Metrics | None, runners: Sequence[ServiceRunner], *, stalled_after_ms: int
) -> None:
    """Have the workers asked whenever the page is made."""
    if metrics is None:
        return
    for runner in runners:
        metrics.watch(
            runner.service.name,
            lambda runner=runner: runner.worker,  # type: ignore[misc]  # bound to this one
            stalled_after_ms=stalled_after_ms,
        )


@asynccontextmanager
async def traced_by(
    environment: Mapping[str, str], platform: Platform, services: Sequence[str]
) -> AsyncIterator[Platform]:
    """The platform, with traces where the standard variables of OpenTelemetry ask for them.

    A worker that is asked for traces and lacks the extra works without, and says so: these variables are
    often set for a whole cluster. Raises SettingsError for what they ask that is not there.
    """
    if not _asks_for_traces(environment):
        yield platform
        return
    import structlog

    log = structlog.get_logger()
    try:
        from sagas.observability.exporting import exporting_by
    except ImportError as error:
        log.warning(LogEvent.TRACING_UNAVAILABLE, missing=error.name)
        yield platform
        return
    from sagas.telemetry import watched

    exporting = exporting_by(environment, services, namespace=platform.topics.namespace)
    exporting.use_everywhere()
    log.info(LogEvent.TRACING_ON, services=list(services))
    try:
        yield watched(platform, exporting.tracing)
    finally:
        await exporting.stop()


_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def _asks_for_traces(environment: Mapping[str, str]) -> bool:
    """Whether an exporter or an endpoint is named, and tracing is not switched off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER")
    if exporter:
        return exporter != "none"
    return any(environment.get(name) for name in _ENDPOINTS)
