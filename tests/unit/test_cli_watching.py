"""Whether a process is measured and traced: what the command line and the environment ask for."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from sagas.application import embedded_platform
from sagas.cli.errors import CommandError
from sagas.cli.watching import metrics_asked_for, metrics_routes, traced_by
from sagas.core.errors import SettingsError
from sagas.observability.exporting import exporting_by
from sagas.observability.prometheus import Metrics
from sagas.telemetry import measured, watched
from tests.otlp import collector
from tests.traced import Traced

DEADLINE_S = 10
"""The SDK's own way takes thirty."""
ASKED = {"OTEL_TRACES_EXPORTER": "console"}


def test_metrics_come_with_livez() -> None:
    metrics = metrics_asked_for(None, served=True)
    assert isinstance(metrics, Metrics)
    assert [route.path for route in metrics_routes(metrics)] == ["/metrics"]
    assert metrics_asked_for(False, served=True) is None
    assert metrics_asked_for(None, served=False) is None
    assert metrics_routes(None) == ()
    with pytest.raises(CommandError, match="--livez-port"):
        metrics_asked_for(True, served=False)


def test_without_the_extra_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sagas.observability.prometheus", None)
    assert metrics_asked_for(None, served=True) is None
    with pytest.raises(CommandError, match="needs the extra 'metrics'"):
        metrics_asked_for(True, served=True)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SERVICE_NAME": "shop"},
    ],
)
async def test_nobody_asks_for_traces(environment: Mapping[str, str]) -> None:
    async with (
        embedded_platform() as platform,
        traced_by(environment, platform, ["orders"]) as same,
    ):
        assert same is platform
        assert same.telemetry is None


async def test_without_the_extra_a_worker_runs_untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sagas.observability.exporting", None)
    with capture_logs() as lines:
        async with (
            embedded_platform() as platform,
            traced_by(ASKED, platform, ["orders"]) as same,
        ):
            assert same is platform
    assert [line["event"] for line in lines] == ["tracing.unavailable"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "use otlp or console"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "4318"),
    ],
)
async def test_what_is_not_there_is_said(environment: Mapping[str, str], said: str) -> None:
    async with embedded_platform() as platform:
        with pytest.raises(SettingsError, match=said):
            async with traced_by(environment, platform, ["orders"]):
                pass


async def test_each_service_is_named_and_what_is_left_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("opentelemetry.trace.set_tracer_provider", lambda _: None)
    with collector() as seen:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", seen.endpoint)
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": seen.endpoint}
        async with (
            embedded_platform("shop") as platform,
            traced_by(environment, platform, ["orders", "payments"]) as traced,
        ):
            assert traced.telemetry is not None
            tracing = traced.telemetry.guarded  # type: ignore[attr-defined]
            for service in ("orders", "payments"):
                spans = tracing.spans(service)
                spans.provider.get_tracer("test").start_span(f"of {service}").end()
        assert {(one.service, one.name) for one in seen.spans} == {
            ("orders", "of orders"),
            ("payments", "of payments"),
        }


async def test_a_collector_that_never_answers_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        exporting = exporting_by({}, ["orders"], namespace="shop")
        spans = exporting.tracing.spans("orders")
        for number in range(2_000):
            spans.provider.get_tracer("test").start_span(f"{number}").end()
        async with asyncio.timeout(DEADLINE_S):
            await exporting.stop(within_s=0.05)


async def test_several_may_watch() -> None:
    async with embedded_platform() as platform:
        metrics = Metrics()
        both = measured(watched(platform, Traced()(platform.clock)), metrics)
        assert both.gauges is metrics
        assert type(both.telemetry).__name__ == "Together"
        assert platform.telemetry is None
