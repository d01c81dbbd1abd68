"""The two systems under measurement: started on fresh topics and keys, stopped without leaving any.

Owns processes, topics and keys of a run, and knows how each system's start looks on the wire.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic_core import to_json
from redis.asyncio import Redis

from benchmarks.framework import handlers
from benchmarks.framework.declaration import OrderPlaced, OrderToNotification
from benchmarks.orders import PLACED, Order
from benchmarks.pipeline.reactions import SERVICES
from benchmarks.setup import PIPELINE, Servers, Setup
from sagas.application import SagaSettings, topics_of
from sagas.runtime.outside import start_record
from sagas.wire.envelope import Trail
from sagas.wire.topics import Topics

__all__ = ["ROOT", "Running", "Start", "running", "wire_of"]

ROOT = Path(__file__).resolve().parents[1]
_STOP_S = 60


class Start(NamedTuple):
    """A record that starts a saga."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Wire:
    """How a system's events look: the record of a start, and the header with an event's type."""

    start: Callable[[Order], Start]
    type_header: str


def wire_of(system: str, namespace: str) -> Wire:
    """The wire of a system in a namespace."""
    topics = Topics(namespace)

    def by_hand(order: Order) -> Start:
        type_ = ("type", PLACED.encode())
        return Start(
            topics.events("orders"), order.order_id.encode(), to_json(order._asdict()), [type_]
        )

    def by_framework(order: Order) -> Start:
        event = OrderPlaced(**order._asdict())
        now_ms = time.time_ns() // 1_000_000
        _, record = start_record([OrderToNotification], topics, event, trail=Trail(), now_ms=now_ms)
        return Start(record.topic, record.key or b"", record.value or b"", list(record.headers))

    return Wire(by_hand, "type") if system == PIPELINE else Wire(by_framework, "ce_type")


@dataclass(slots=True)
class Running:
    """A system whose topics are there; ``start`` starts services, ``end`` all that was started."""

    setup: Setup
    servers: Servers
    namespace: str
    directory: Path
    collector: str = ""
    """Where traces go."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def pids(self) -> set[int]:
        """The processes of the workers."""
        return {process.pid for process in self.processes}

    def start(self, services: Sequence[str] = SERVICES, *, profile: Path | None = None) -> None:
        """Start these services, each as a process or all as one, as the setup says.

        With ``profile``, the framework's process writes one there when it ends.
        """
        groups = [services] if self.setup.one_process else [[service] for service in services]
        for names in groups:
            with (self.directory / f"{names[0]}.log").open("ab") as log:
                self.processes.append(
                    subprocess.Popen(
                        self._command(names, profile),
                        cwd=self.directory,
                        env=self._environment(),
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )

    def check(self) -> None:
        """Raise RuntimeError, with the end of its log, if a process has ended."""
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{self.setup.name}: a worker has ended.\n{self.logs()}")

    def logs(self) -> str:
        """The end of what each process has printed."""
        return "\n".join(path.read_text()[-2000:] for path in self.directory.glob("*.log"))

    def end(self) -> None:
        """SIGTERM to all, and SIGKILL to who does not listen."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def _command(self, services: Sequence[str], profile: Path | None) -> list[str]:
        if self.setup.system == PIPELINE:
            return [sys.executable, "-m", "benchmarks.pipeline.worker", *services]
        command = ["sagas.cli"] if profile is None else ["benchmarks.profiled", str(profile)]
        project = ROOT / "benchmarks/framework/pyproject.toml"
        watched = ["--livez-port", "0", "--metrics"] if self.setup.watched_by == "metrics" else []
        return [
            sys.executable,
            "-m",
            *command,
            "run",
            *services,
            "--project",
            str(project),
            *watched,
        ]

    def _environment(self) -> dict[str, str]:
        journals = {
            "off": "",
            "sqlite": f"sqlite:///{self.directory}",
            "postgresql": self.servers.postgresql,
        }
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("SAGAS_")},
            "PYTHONPATH": str(ROOT),
            "SAGAS_NAMESPACE": self.namespace,
            "SAGAS_KAFKA": self.servers.kafka,
            "SAGAS_REDIS": self.servers.redis,
            "SAGAS_PARTITIONS": str(self.setup.partitions),
            "SAGAS_LOG_LEVEL": self.setup.log_level,
            "SAGAS_LOG_FORMAT": "json",
            "BENCH_JOURNAL": journals[self.setup.journal],
            **({} if not self.collector else {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector}),
        }


@asynccontextmanager
async def running(setup: Setup, servers: Servers, directory: Path) -> AsyncIterator[Running]:
    """A system on fresh topics, no process started yet; nothing of it is left at the end."""
    namespace = f"bench-{secrets.token_hex(4)}"
    place = directory / namespace
    place.mkdir()
    await _create(_topics(setup, namespace), setup, servers)
    async with _collecting(setup) as collector:
        system = Running(setup, servers, namespace, place, collector)
        try:
            yield system
        finally:
            await asyncio.to_thread(system.end)
            await _forget(namespace, servers)


@asynccontextmanager
async def _collecting(setup: Setup) -> AsyncIterator[str]:
    """The address of a collector of traces, where there are any."""
    if setup.watched_by != "tracing":
        yield ""
        return
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.collector"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


def _topics(setup: Setup, namespace: str) -> list[str]:
    """The names of the topics that the system needs."""
    if setup.system == PIPELINE:
        return [Topics(namespace).events(service) for service in SERVICES]
    settings = SagaSettings(namespace=namespace)
    return [topic.name for topic in topics_of([OrderToNotification], handlers.SERVICES, settings)]


async def _create(names: Sequence[str], setup: Setup, servers: Servers) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, setup.partitions, 1) for name in names])
        while set(names) - set(await admin.list_topics()):  # noqa: ASYNC110 - asked, not told
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def _forget(namespace: str, servers: Servers) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(f"{namespace}.")]
        await admin.delete_topics(names)
    finally:
        await admin.close()
    async with Redis.from_url(servers.redis) as redis:
        keys = [key async for key in redis.scan_iter(match=f"{namespace}:*", count=10_000)]
        for first in range(0, len(keys), 10_000):
            await redis.unlink(*keys[first : first + 10_000])
