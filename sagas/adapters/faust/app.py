"""The Faust application around a follower: agent, timer, web.

Owns what Faust is told. It has no producer, no tables, no changelogs and no leader topic: it writes nothing
to Kafka but the offsets of its own group, and what it keeps is in a local file. The fold is the follower's.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.app.base import BootStrategy
from faust.types import StreamT
from faust.types.auth import CredentialsT
from faust.web import Request, Response, View

from sagas.adapters.faust.following import Follower
from sagas.adapters.faust.state import StateFile
from sagas.adapters.faust.transport import TailConsumer, TailTransport, now_ms
from sagas.ports import Record

__all__ = ["TailSettings", "run_tail", "tail_app"]

_log = structlog.get_logger()
_WINDOWS_MAX = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class TailSettings:
    """``servers`` are ``host:port``, several separated by commas; ``group`` is a consumer group of its own.

    With a ``username`` the worker says who it is, by ``mechanism``; with an ``ssl_context`` it uses TLS.
    The views are served on ``http_host`` and ``http_port``. Every ``look_s`` seconds the follower looks, and
    what has changed is kept in the file ``state``.
    """

    servers: str
    group: str
    state: Path
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = "SCRAM-SHA-512"
    ssl_context: ssl.SSLContext | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 6066
    look_s: float = 1.0


class _NoProducer(BootStrategy):
    enable_kafka_producer = False


class TailApp(faust.App):
    """A Faust app that follows. Its state is opened before it is started, and closed when it stops."""

    BootStrategy = _NoProducer

    def __init__(self, follower: Follower, settings: TailSettings, **options: Any) -> None:
        self.follower = follower
        self.state_path = settings.state
        self.state_file: StateFile | None = None
        self._keeping = asyncio.Lock()
        self._unsaved: dict[str, bytes | None] = {}
        self._shown: tuple[int, dict[str, Any]] | None = None
        super().__init__(settings.group, **options)

    def _new_transport(self) -> TailTransport:
        return TailTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Nothing of Faust's own is stored."""

    def open_state(self) -> None:
        """Go on with what was kept, or begin anew. Raises SettingsError if the file can not be used."""
        state = self.state_file = StateFile(self.state_path)
        if not self.follower.put_back(state.read()):
            _log.info("monitor.state_empty", path=str(self.state_path))
            state.clear()

    def look(self) -> None:
        """Have the follower look; what is shown is put together anew."""
        self.follower.look(now_ms())
        self._shown = None

    def views(self, windows: int) -> dict[str, Any]:
        """What the follower shows, put together once between two looks, however many ask."""
        if self._shown is None or self._shown[0] != windows:
            self._shown = windows, self.follower.views(windows=windows)
        return self._shown[1]

    async def keep(self) -> None:
        """Keep what has changed, offsets and counts together. What was not written for certain, because this
        was cancelled, is written the next time.
        """
        if self.state_file is not None:
            async with self._keeping:
                self._unsaved.update(self.follower.changes())
                await asyncio.to_thread(self.state_file.write, dict(self._unsaved))
                self._unsaved.clear()

    async def on_shutdown(self) -> None:
        """Keep the rest: everything else has stopped."""
        await super().on_shutdown()
        await self.keep()
        if self.state_file is not None:
            self.state_file.close()
            self.state_file = None


def tail_app(follower: Follower, settings: TailSettings) -> TailApp:
    """The application; nothing is connected or opened before it is started."""
    app = TailApp(
        follower,
        settings,
        broker=_broker_urls(settings.servers),
        broker_credentials=_credentials(settings),
        broker_client_id=settings.group,
        # A monitor that was killed is replaced by its successor at once, instead of being waited for.
        consumer_group_instance_id=settings.group,
        broker_session_timeout=10.0,
        broker_rebalance_timeout=60.0,
        broker_request_timeout=65.0,  # outlasts a rebalance
        consumer_auto_offset_reset="earliest",
        table_standby_replicas=0,  # without tables Faust takes an assignor of aiokafka's own
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        stream_recovery_delay=0.0,
        web_bind=settings.http_host,
        web_host=settings.http_host,
        web_port=settings.http_port,
        web_stats_enabled=False,
        web_graph_enabled=False,
        web_router_enabled=False,
        web_tables_enabled=False,
        web_metrics_enabled=False,
        debug=False,
        autodiscover=False,
    )
    _follow(app, settings)
    _serve(app)
    return app


def run_tail(app: TailApp) -> NoReturn:
    """Run it as a worker of Faust until SIGTERM or SIGINT; ends the process by SystemExit.

    Logs are left as they are set up. After a crash the exit status is not 0: start it again. Raises
    SettingsError if its state can not be used.
    """
    app.open_state()
    worker = app.Worker(
        quiet=True, override_logging=False, redirect_stdouts=False, stdout=sys.stderr
    )
    worker.spinner = None  # it moves the cursor, in logs too
    worker.execute_from_commandline()


def _follow(app: TailApp, settings: TailSettings) -> None:
    raw: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
    topic = app.topic(*sorted(app.follower.topics), allow_empty=True, **raw)

    async def follow(stream: StreamT[Any]) -> None:
        async for event in stream.events():
            app.follower.observe(_record_of(event.message), now_ms())

    async def look() -> None:
        app.look()
        await app.keep()

    async def measure() -> None:
        try:
            await cast(TailConsumer, app.consumer).measure()
        except (KafkaError, TimeoutError) as error:  # the consumer finds its broker again by itself
            _log.warning("server.unavailable", error=f"Kafka: {error!r}")

    app.agent(topic, name="follow")(follow)
    app.timer(settings.look_s, name="look")(look)
    app.timer(settings.look_s, name="measure")(measure)


def _record_of(message: Any) -> Record:
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple((name, value or b"") for name, value in pairs),
        -1 if message.timestamp is None else round(message.timestamp * 1000),
    )


def _serve(app: TailApp) -> None:
    async def views(view: View, request: Request) -> Response:
        return _shown(view, request, app.views)

    async def one(view: View, request: Request, name: str) -> Response:
        return _shown(view, request, lambda windows: app.views(windows).get(name))

    app.page("/views", name="views")(views)
    app.page("/views/{name}", name="view")(one)


def _shown(view: View, request: Request, shown: Callable[[int], Any]) -> Response:
    text = request.query.get("windows", "10")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _WINDOWS_MAX):
        message = f"windows is {text[:20]!r}; expected a number from 1 to {_WINDOWS_MAX}"
        return view.json({"error": message}, status=400)
    found = shown(int(text))
    if found is None:
        return view.json({"error": "there is no such view"}, status=404)
    return view.json(found)


def _broker_urls(servers: str) -> str:
    return ";".join(f"kafka://{server.strip()}" for server in servers.split(","))


def _credentials(settings: TailSettings) -> CredentialsT | None:
    context = settings.ssl_context
    if settings.username is not None:
        return faust.SASLCredentials(
            username=settings.username,
            password=settings.password,
            ssl_context=context,
            mechanism=settings.mechanism,
        )
    return None if context is None else faust.SSLCredentials(context=context)
