"""What workers say of themselves: every change at once, a beat in between, nothing after a clean end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from sagas.application import Platform, embedded_platform
from sagas.core.errors import ContractViolation
from sagas.core.lifecycle import Happening, WorkerState
from sagas.core.retry import Retry
from sagas.ports import OutgoingRecord, TableUnavailable, TopicPartition
from sagas.ports.workers import WorkerReport
from sagas.runtime.assembly import ServiceRunner
from sagas.runtime.health import Condition, Health
from sagas.runtime.lifecycle import Lifecycle
from sagas.runtime.registration import Identity, Register, Registration, report_of
from sagas.service import Service
from sagas.testing.clock import VirtualClock
from sagas.watching import ServiceLag, standings, topics_read
from sagas.wire.topics import Topics
from tests.samples import ShipmentCreated
from tests.samples_alternatives import OrderDelivery

DEADLINE_S = 10


class Book:
    """A register that remembers every call, and can be away."""

    def __init__(self) -> None:
        self.told: list[tuple[WorkerState, int]] = []
        self.reports: dict[str, WorkerReport] = {}
        self.withdrawn: list[str] = []
        self.is_away = False
        self.asked = 0
        self._news = asyncio.Event()

    async def announce(self, report: WorkerReport, *, ttl_ms: int) -> None:
        self.asked += 1
        self._news.set()
        if self.is_away:
            raise TableUnavailable("no register here")
        self.told.append((report.state, ttl_ms))
        self.reports[report.id] = report

    async def withdraw(self, worker_id: str) -> None:
        self.withdrawn.append(worker_id)
        self.reports.pop(worker_id, None)

    async def workers(self) -> Sequence[WorkerReport]:
        return list(self.reports.values())

    async def stop(self) -> None: ...

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.asked < times:
                self._news.clear()
                await self._news.wait()

    async def until_told_of_an_error(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while all(report.last_error is None for report in self.reports.values()):
                self._news.clear()
                await self._news.wait()

    @property
    def states(self) -> list[WorkerState]:
        return [state for state, _ in self.told]


class Entry:
    """One worker's entry, in virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.book = Book()
        self.life = Lifecycle("inventory", self.clock)
        register = Register(registry=self.book, beat_s=3.0, ttl_ms=10_000)
        self.registration = Registration(register, self.life, self._report, clock=self.clock)

    async def later(self, ms: int) -> None:
        """Let time pass once somebody is asleep."""
        async with asyncio.timeout(DEADLINE_S):
            while not self.clock.sleepers:  # noqa: ASYNC110 - it is about to
                await asyncio.sleep(0)
        self.clock.advance_to(self.clock.now_ms() + ms)

    def _report(self) -> WorkerReport:
        return report_of(
            self.life,
            Identity(version="2", tags=("blue",), host="here", pid=7),
            id="inventory-1",
            service="inventory",
            seen_at_ms=self.clock.now_ms(),
            partitions={TopicPartition("b", 1), TopicPartition("a", 2), TopicPartition("a", 0)},
            in_flight=4,
            health=Health(Condition.ACCEPTING),
        )


async def test_every_change_is_announced_at_once_and_a_beat_follows() -> None:
    entry = Entry()
    entry.life.happened(Happening.LAUNCHED)
    async with entry.registration.kept():
        await entry.book.until_asked(1)
        entry.life.happened(Happening.JOINED)
        await entry.book.until_asked(2)
        await entry.later(2_999)
        assert entry.book.asked == 2
        await entry.later(1)
        await entry.book.until_asked(3)
        seen = entry.book.reports["inventory-1"]
        assert seen.seen_at_ms - seen.started_at_ms == 3_000
        assert dict(seen.partitions) == {"a": (0, 2), "b": (1,)}
        entry.life.happened(Happening.ASKED_TO_STOP)
        await entry.book.until_asked(4)
        entry.life.ended()
    assert entry.book.told == [
        (state, 10_000)
        for state in (
            WorkerState.STARTING,
            WorkerState.RUNNING,
            WorkerState.RUNNING,
            WorkerState.STOPPING,
        )
    ]
    assert entry.book.withdrawn == ["inventory-1"]


async def test_who_fails_stays_to_be_seen_with_its_last_word() -> None:
    entry = Entry()
    entry.life.happened(Happening.LAUNCHED)

    async def fail() -> None:
        async with entry.registration.kept():
            error = OSError("no disk")
            entry.life.failed(error)
            entry.life.ended()
            raise error

    with pytest.raises(OSError, match="no disk"):
        await fail()
    assert entry.book.withdrawn == []
    last = entry.book.reports["inventory-1"]
    assert last.state is WorkerState.STOPPED
    assert last.last_error is not None
    assert last.last_error.words == "OSError: no disk"


async def test_a_register_that_is_away_is_told_once_and_not_waited_for() -> None:
    entry = Entry()
    entry.book.is_away = True
    with capture_logs() as logs:
        async with entry.registration.kept():
            for beat in range(1, 4):
                await entry.book.until_asked(beat)
                await entry.later(3_000)
            entry.book.is_away = False
            await entry.book.until_asked(4)
    assert [line["event"] for line in logs] == ["worker.not_announced"]


def test_one_line_for_each_change() -> None:
    with capture_logs() as logs:
        life = Lifecycle("inventory", VirtualClock())
        life.happened(Happening.LAUNCHED)
        life.happened(Happening.JOINED, topics=["a"])
        life.happened(Happening.JOINED)
        life.failed(OSError("no disk"))
        life.happened(Happening.ASKED_TO_STOP)
        life.ended()
        life.ended()
    assert [line["event"] for line in logs] == [
        "worker.starting",
        "worker.running",
        "worker.stopping",
        "worker.stopped",
    ]
    assert logs[2]["because"] == "failed"
    assert logs[2]["error"] == "OSError: no disk"
    with pytest.raises(ContractViolation, match="run it once"):
        life.happened(Happening.LAUNCHED)


# --- a whole worker ---------------------------------------------------------------------------------


def watcher(seen: asyncio.Event) -> Service:
    service = Service("watcher")

    @service.observes(ShipmentCreated, retry=Retry(attempts=1))
    async def watch(event: ShipmentCreated, context: object) -> None:
        seen.set()
        raise ValueError("no eyes")

    return service


@asynccontextmanager
async def place(book: Book) -> AsyncIterator[Platform]:
    identity = Identity(version="2.1", tags=("blue",), host="here", pid=7)
    async with asyncio.timeout(DEADLINE_S), embedded_platform("shop") as platform:
        register = Register(registry=book, identity=identity, beat_s=0.0)
        yield replace(platform, register=register)


async def test_a_worker_announces_itself_from_its_start_to_its_end() -> None:
    book, running = Book(), asyncio.Event()
    async with place(book) as platform:
        runner = ServiceRunner(watcher(asyncio.Event()), platform)
        work = asyncio.create_task(runner.run(running.set))
        await running.wait()
        await book.until_asked(book.asked + 2)
        (report,) = await book.workers()
        assert (report.service, report.version, report.tags) == ("watcher", "2.1", ("blue",))
        assert (report.host, report.pid, report.state) == ("here", 7, WorkerState.RUNNING)
        runner.stop()
        leaving = runner.lifecycle.state
        await work
    assert book.withdrawn == [report.id]
    assert book.states[0] is WorkerState.STARTING
    assert set(book.states) >= {WorkerState.STARTING, WorkerState.RUNNING}
    assert (leaving, runner.lifecycle.state) == (WorkerState.STOPPING, WorkerState.STOPPED)


async def test_a_worker_that_was_stopped_before_it_began_opens_nothing() -> None:
    book = Book()
    async with place(book) as platform:
        runner = ServiceRunner(watcher(asyncio.Event()), platform)
        runner.stop()
        await runner.run()
    assert book.asked == 0


async def test_the_last_error_of_a_handler_is_shown() -> None:
    book, running, seen = Book(), asyncio.Event(), asyncio.Event()
    async with place(book) as platform:
        runner = ServiceRunner(watcher(seen), platform)
        work = asyncio.create_task(runner.run(running.set))
        await running.wait()
        payload = ShipmentCreated(order_id="1").model_dump_json().encode()
        headers = (("ce_type", ShipmentCreated.event_type.encode()), ("ce_id", b"1"))
        await platform.broker.publish(
            OutgoingRecord("shop.shipping.events", b"1", payload, headers)
        )
        await seen.wait()
        await book.until_told_of_an_error()
        error = runner.lifecycle.last_error
        assert error is not None
        assert error.words == "ValueError: no eyes"
        runner.stop()
        await work


# --- who watches ------------------------------------------------------------------------------------

TOPICS = Topics("shop")


def test_the_topics_of_a_service_follow_from_its_handlers_or_else_from_the_declarations() -> None:
    observer = watcher(asyncio.Event())
    read = topics_read([OrderDelivery], [observer], TOPICS)
    assert read["watcher"] == {"shop.shipping.events"}
    for service in OrderDelivery.definition.services:
        assert TOPICS.control(OrderDelivery.definition.saga) in read[service]
        assert f"shop.{service}.retry.10s" in read[service]


async def test_what_waits_for_another_attempt_is_not_behind() -> None:
    book = Book()
    async with place(book) as platform:
        for topic in ("shop.orders.events", "shop.orders.retry.10s", "shop.orders.retry.1m"):
            await platform.broker.publish(OutgoingRecord(topic, b"k", b"v"))
        offsets = platform.broker
        read = {"orders": ["shop.orders.events", "shop.orders.retry.10s", "shop.orders.retry.1m"]}
        (found,) = await standings(read, book, offsets, TOPICS)  # type: ignore[arg-type]
        assert isinstance(found.lag, ServiceLag)
        assert (found.lag.behind, found.lag.waiting, len(found.lag.partitions)) == (1, 2, 1)
        (unknown,) = await standings(read, book, None, TOPICS)
        assert unknown.lag is None


async def test_a_worker_of_a_service_that_nobody_names_is_shown_too() -> None:
    entry = Entry()
    async with entry.registration.kept():
        await entry.book.until_asked(1)
        found = await standings({"orders": []}, entry.book, None, TOPICS)
    assert [(one.service, len(one.workers)) for one in found] == [("inventory", 1), ("orders", 0)]
