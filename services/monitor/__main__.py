"""``python -m services.monitor run`` follows the topics; ``... views`` shows what it sees."""

from __future__ import annotations

import json
import socket
import sys
from typing import Annotated, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import typer
from pydantic import ValidationError
from rich.console import Console

from sagas.application import SagaSettings
from sagas.core.errors import SagaError
from sagas.observability.logs import configure_logs
from services.monitor.screen import show
from services.monitor.settings import MonitorSettings

__all__ = ["main"]

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

_ANSWER_S = 10


@main.command()
def run() -> None:
    """Follow the topics until SIGTERM. Settings are read from the environment: SAGAS_KAFKA,
    SAGAS_NAMESPACE, SAGAS_MONITOR_OBJECTIVES and others.
    """
    try:
        from sagas.adapters.faust.app import run_tail  # noqa: PLC0415 - only who runs it needs Faust
        from services.monitor.main import monitor_app  # noqa: PLC0415
    except ImportError as error:
        raise SystemExit(
            f"error: the monitor needs the extra 'faust' ({error.name} is not installed): install this "
            "project as 'sagas-choreography[faust]', from its clone: pip install '/path/to/clone[faust]'."
        ) from error
    try:
        servers, settings = SagaSettings(), MonitorSettings()
        configure_logs(servers.log_level, servers.log_format)
        _check_servers(servers.kafka)
        _check_port(settings.http_host, settings.http_port)
        run_tail(monitor_app(servers, settings))
    except (SagaError, ValidationError) as error:
        raise SystemExit(f"error: {error}") from error


def _check_servers(servers: str) -> None:
    """Faust says it by a page of tracebacks where nobody answers at the start."""
    seen = ""
    for server in servers.split(","):
        try:
            at = urlsplit(f"//{server.strip()}")
            socket.create_connection((at.hostname or "", at.port or 9092), _ANSWER_S).close()
        except (OSError, ValueError) as error:
            seen = str(error)
        else:
            return
    raise SystemExit(
        f"error: Kafka at {servers} is not available ({seen}). See that it runs, or name the right address "
        "in SAGAS_KAFKA."
    )


def _check_port(host: str, port: int) -> None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise SystemExit(
            f"error: port {port} on {host} can not be opened for the views ({error}); give a free one in "
            "SAGAS_MONITOR_HTTP_PORT."
        ) from error


@main.command()
def views(
    url: Annotated[str | None, typer.Option(help="Where the monitor serves its views.")] = None,
    windows: Annotated[
        int, typer.Option(min=1, max=1440, help="So many of the last windows.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="The document itself.")] = False,  # noqa: FBT002
) -> None:
    """Show what the monitor sees: sagas, rates, latencies, objectives, candidates for stuck sagas."""
    settings = MonitorSettings()
    url = url or f"http://{settings.http_host}:{settings.http_port}"
    found = _fetched(f"{url.rstrip('/')}/views?windows={windows}")
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        show(found, Console(highlight=False, markup=False))


def _fetched(url: str) -> dict[str, Any]:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise SystemExit(f"error: {url} is no address of a monitor; expected http://host:port")
    try:
        with urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310 - the scheme was looked at
            found: dict[str, Any] = json.load(answer)
    except (URLError, OSError, ValueError) as error:
        raise SystemExit(
            f"error: no monitor answers at {url} ({error}); start it by `python -m services.monitor run`, "
            "or say where it is by --url"
        ) from error
    return found


if __name__ == "__main__":
    main()
