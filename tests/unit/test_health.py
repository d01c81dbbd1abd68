"""How a worker is: every word, what is taken on meanwhile, and leaving before the memory is gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from starlette.applications import Starlette

from sagas.adapters.process_memory import limit_bytes, resident_bytes
from sagas.application import Platform, SagaSettings, embedded_platform
from sagas.cli.errors import ExitCode, code_of
from sagas.core.errors import MemoryExhausted
from sagas.core.lifecycle import WorkerState
from sagas.limits import memory_bound, worker_settings
from sagas.ports import OutgoingRecord, Record, TopicPartition
from sagas.runtime.assembly import ServiceRunner
from sagas.runtime.health import Condition, Health, MemoryUse, Vitals, health_of, worst
from sagas.runtime.intake import Intake
from sagas.runtime.memory import MemoryBound
from sagas.runtime.worker import WorkerSettings
from sagas.service import Service
from sagas.web.health import health_routes
from tests.samples import ShipmentCreated

DEADLINE_S = 20
ENOUGH = MemoryUse(100, 1_000)
SHORT = MemoryUse(901, 1_000)


# --- the words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vitals", "expected"),
    [
        (Vitals(WorkerState.NEW), Condition.STARTING),
        (Vitals(WorkerState.STARTING), Condition.STARTING),
        (Vitals(WorkerState.RUNNING), Condition.ACCEPTING),
        (Vitals(WorkerState.RUNNING, 9, 10), Condition.ACCEPTING),
        (Vitals(WorkerState.RUNNING, 9, 10, is_full=True), Condition.BACKLOG),
        (Vitals(WorkerState.RUNNING, memory=ENOUGH, memory_share_max=0.9), Condition.ACCEPTING),
        (Vitals(WorkerState.RUNNING, memory=SHORT, memory_share_max=0.9), Condition.MEMORY),
        (Vitals(WorkerState.STARTING, memory=SHORT, memory_share_max=0.9), Condition.MEMORY),
        (
            Vitals(WorkerState.RUNNING, 9, 9, is_full=True, memory=SHORT, memory_share_max=0.9),
            Condition.MEMORY,
        ),
        (Vitals(WorkerState.STOPPING, 9, 9, is_full=True, memory=SHORT), Condition.DRAINING),
        (Vitals(WorkerState.STOPPED), Condition.DRAINING),
    ],
)
def test_the_worst_that_is_true(vitals: Vitals, expected: Condition) -> None:
    assert health_of(vitals).condition is expected


def test_a_reason_says_what_was_seen() -> None:
    full = health_of(Vitals(WorkerState.RUNNING, 12, 10, is_full=True))
    assert full.reason == (
        "12 messages are begun, and 10 are as many as may be; it takes new ones again at 5"
    )
    leaving = health_of(Vitals(WorkerState.STOPPING, 3, why="OSError: no disk"))
    assert leaving.reason == "it finishes 3 messages and leaves: OSError: no disk"
    used = MemoryUse(950 * 1024**2, 1000 * 1024**2)
    short = health_of(Vitals(WorkerState.RUNNING, memory=used, memory_share_max=0.9))
    assert short.reason.startswith("950 of 1000 MiB of memory are used (95%)")


def test_a_process_is_as_well_as_its_worst_worker() -> None:
    assert worst([]) is Condition.ACCEPTING
    assert worst([Condition.BACKLOG, Condition.ACCEPTING]) is Condition.BACKLOG
    assert worst([Condition.DRAINING, Condition.BACKLOG]) is Condition.DRAINING


# --- over HTTP --------------------------------------------------------------------------------------


async def ask(path: str, services: Mapping[str, Health]) -> httpx.Response:
    transport = httpx.ASGITransport(app=Starlette(routes=health_routes(lambda: services)))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("condition", "health", "ready"),
    [
        (Condition.ACCEPTING, 200, 200),
        (Condition.BACKLOG, 429, 200),
        (Condition.STARTING, 503, 503),
        (Condition.MEMORY, 503, 503),
        (Condition.DRAINING, 503, 503),
    ],
)
async def test_every_condition_has_its_codes(condition: Condition, health: int, ready: int) -> None:
    services = {"orders": Health(Condition.ACCEPTING), "stock": Health(condition, "why not")}
    response = await ask("/health", services)
    assert response.status_code == health
    assert response.json() == {
        "status": condition.value,
        "services": {
            "orders": {"status": "accepting", "reason": ""},
            "stock": {"status": condition.value, "reason": "why not"},
        },
    }
    response = await ask("/readyz", services)
    assert response.status_code == ready
    assert response.json()["status"] == ("ready" if ready == 200 else "not ready")


# --- what is taken on -------------------------------------------------------------------------------

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
BOTH = frozenset({A, B})


@dataclass
class Gates:
    """A consumer, of which only the pauses are of interest."""

    closed: set[TopicPartition] = field(default_factory=set)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def poll(self, *, records_max: int, timeout_ms: int) -> Sequence[Record]:
        return ()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...

    async def behind(self) -> Mapping[TopicPartition, int]:
        return {}

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        self.closed |= partitions

    def resume(self, partitions: frozenset[TopicPartition]) -> None:
        self.closed -= partitions


def intake(gates: Gates) -> Intake:
    made = Intake(lambda: gates, partition_max=4, backlog_max=6)
    made.assigned(BOTH, 0)
    return made


def test_a_partition_with_too_much_begun_is_paused_until_half_of_it_has_ended() -> None:
    made = intake(gates := Gates())
    made.begun(A, 3)
    assert not made.holds
    made.begun(A, 4)
    assert gates.closed == {A}
    made.finished(A, 3, 3)
    assert gates.closed == {A}
    made.finished(A, 2, 2)
    assert gates.closed == set()
    assert not made.holds


def test_with_too_much_begun_in_all_everything_is_paused() -> None:
    made = intake(gates := Gates())
    seen = []
    for happens in (
        partial(made.taken, 5),
        partial(made.taken, 6),
        partial(made.finished, A, 2, 4),
        partial(made.finished, A, 1, 3),
    ):
        happens()
        seen.append((made.is_full, len(gates.closed)))
    assert seen == [(False, 0), (True, 2), (True, 2), (False, 0)]


def test_a_partition_at_its_own_bound_stays_paused_when_the_whole_goes_on() -> None:
    made = intake(gates := Gates())
    made.begun(A, 4)
    made.taken(7)
    made.finished(B, 0, 3)
    assert gates.closed == {A}
    assert made.holds
    made.finished(A, 2, 2)
    assert gates.closed == set()


def test_a_partition_below_its_bound_waits_for_the_whole() -> None:
    made = intake(gates := Gates())
    made.begun(A, 4)
    made.taken(8)
    made.finished(A, 2, 6)
    assert gates.closed == BOTH
    made.finished(A, 1, 3)
    assert gates.closed == set()


def test_a_rebalance_pauses_anew_while_there_is_too_much() -> None:
    made = intake(gates := Gates())
    made.taken(6)
    gates.closed.clear()  # as a rebalance does
    made.assigned(BOTH, 5)
    assert gates.closed == BOTH
    gates.closed.clear()
    made.assigned(BOTH, 0)
    assert gates.closed == set()
    assert not made.is_full


class Slow:
    """A service whose observer waits until it is let go."""

    def __init__(self) -> None:
        self.go, self.begun, self.done = asyncio.Event(), 0, 0
        self.news = asyncio.Event()
        self.service = Service("watcher")
        self.service.observes(ShipmentCreated)(self.watch)

    async def watch(self, event: ShipmentCreated, context: object) -> None:
        self.begun += 1
        self.news.set()
        await self.go.wait()
        self.done += 1
        self.news.set()


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with asyncio.timeout(DEADLINE_S), embedded_platform("shop") as platform:
        yield platform


async def publish(platform: Platform, numbers: range) -> None:
    for number in numbers:
        payload = ShipmentCreated(order_id=f"{number}").model_dump_json().encode()
        headers = (
            ("ce_type", ShipmentCreated.event_type.encode()),
            ("ce_id", f"{number}".encode()),
        )
        record = OutgoingRecord("shop.shipping.events", f"{number}".encode(), payload, headers)
        await platform.broker.publish(record)


async def test_a_worker_with_too_much_begun_takes_nothing_new_until_some_has_ended(
    platform: Platform,
) -> None:
    settings = WorkerSettings(commit_interval_s=0.0, records_max=1, backlog_max=4)
    slow, running = Slow(), asyncio.Event()
    runner = ServiceRunner(slow.service, replace(platform, settings=settings))
    assert runner.health().condition is Condition.STARTING
    work = asyncio.create_task(runner.run(running.set))
    await running.wait()
    assert runner.health().condition is Condition.ACCEPTING
    await publish(platform, range(20))
    while runner.health().condition is not Condition.BACKLOG:  # noqa: ASYNC110 - it is about to
        await asyncio.sleep(0)
    for _ in range(200):  # as long as it takes to read everything, if it would
        await asyncio.sleep(0)
    assert slow.begun == 4
    slow.go.set()
    while slow.done < 20:
        slow.news.clear()
        await slow.news.wait()
    while runner.health().condition is not Condition.ACCEPTING:  # noqa: ASYNC110 - it is about to
        await asyncio.sleep(0)
    runner.stop()
    assert runner.health().condition is Condition.DRAINING
    await work


async def test_a_full_worker_that_is_left_without_partitions_is_full_no_longer(
    platform: Platform,
) -> None:
    settings = WorkerSettings(
        commit_interval_s=0.0, records_max=1, backlog_max=4, drain_timeout_s=0.0
    )
    slow, running = Slow(), asyncio.Event()
    runner = ServiceRunner(slow.service, replace(platform, settings=settings))
    work = asyncio.create_task(runner.run(running.set))
    await running.wait()
    await publish(platform, range(20))
    while runner.health().condition is not Condition.BACKLOG:  # noqa: ASYNC110 - it is about to
        await asyncio.sleep(0)
    worker = runner.worker
    assert worker is not None
    await worker.revoked(worker.partitions)  # to more workers than there are partitions
    assert worker.backlog == 0
    assert runner.health().condition is Condition.ACCEPTING
    runner.stop()
    await work


# --- memory -----------------------------------------------------------------------------------------


async def test_a_worker_leaves_before_its_memory_is_gone(platform: Platform) -> None:
    bound = MemoryBound(use=lambda: SHORT)
    runner = ServiceRunner(Slow().service, replace(platform, memory=bound))
    with pytest.raises(MemoryExhausted, match="Start it again") as raised:
        await runner.run()
    assert runner.lifecycle.state is WorkerState.STOPPED
    assert "MemoryExhausted" in runner.health().reason
    assert code_of(raised.value) is ExitCode.RESTART


async def test_a_worker_stays_while_there_is_enough(platform: Platform) -> None:
    running, asked = asyncio.Event(), 0

    def use() -> MemoryUse | None:
        nonlocal asked
        asked += 1
        return None if asked == 1 else ENOUGH

    bound = MemoryBound(use=use)
    runner = ServiceRunner(Slow().service, replace(platform, memory=bound))
    work = asyncio.create_task(runner.run(running.set))
    await running.wait()
    assert runner.health().condition is Condition.ACCEPTING
    runner.stop()
    await work


def linux(root: Path, groups: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    (root / "proc/self/statm").write_text("900 25 10 1 0 80 0\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_limit_is_the_smallest_of_the_groups_above(tmp_path: Path) -> None:
    root = linux(
        tmp_path,
        "0::/pods/mine\n",
        pods__mine__memory_DOT_max="max\n",
        pods__memory_DOT_max="2000000\n",
        memory_DOT_max="9000000\n",
    )
    assert limit_bytes(root) == 2_000_000
    assert resident_bytes(root) == 25 * os.sysconf("SC_PAGE_SIZE")


def test_the_limit_of_the_first_version_of_control_groups(tmp_path: Path) -> None:
    root = linux(
        tmp_path,
        "5:cpu,cpuacct:/x\n4:memory:/docker/ab\n",
        memory__memory_DOT_limit_in_bytes="3000000\n",
    )
    assert limit_bytes(root) == 3_000_000
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert limit_bytes(root) is None


def test_a_machine_that_says_nothing_has_no_limit(tmp_path: Path) -> None:
    assert limit_bytes(tmp_path) is None
    assert resident_bytes(tmp_path) is None
    root = linux(tmp_path, "odd\n")
    assert limit_bytes(root) is None


def test_settings_say_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_settings(SagaSettings()).backlog_max == 5_000
    assert worker_settings(SagaSettings(backlog_max=7)).backlog_max == 7
    assert memory_bound(SagaSettings(memory_limit="none")) is None
    bound = memory_bound(SagaSettings(memory_limit="512 MiB", memory_leave_at=0.5))
    assert bound is not None
    use = bound.use()
    assert use is not None
    assert (use.limit_bytes, bound.share_max) == (512 * 1024**2, 0.5)
    assert use.used_bytes > 0
    with pytest.raises(ValidationError, match="512MiB or 2GiB"):
        SagaSettings(memory_limit="much")
    monkeypatch.setenv("SAGAS_TAGS", "blue, zone=a,")
    assert SagaSettings().tags == ("blue", "zone=a")
    with pytest.raises(ValidationError, match="at most 20 words"):
        SagaSettings(tags=("x" * 101,))
