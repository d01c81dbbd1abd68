"""In the middle of traffic: a worker is told to stop, Redis goes away and comes back, Kafka is cut off."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest

from sagas import NOTHING, Event, Saga, Service, Start, Step, StepContext
from sagas.adapters.clock import RandomIds, SystemClock
from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.broker import KafkaBroker
from sagas.adapters.kafka.settings import KafkaSettings
from sagas.adapters.memory.journal import MemoryJournal
from sagas.adapters.redis import RedisSagaTable
from sagas.application import SagaSettings, client_of, real_platform, run_services
from sagas.core.errors import RetriableError
from sagas.core.instance import SagaStatus
from sagas.ports import NewTopic, OutgoingRecord, Row, RowChange
from sagas.runtime.assembly import Platform
from sagas.service import Lifespan
from sagas.wire.topics import RETRY_TIERS_MS, Topics
from tests.cli_project import MODULES, Project, write_project
from tests.integration.kafka_proxy import KafkaProxy
from tests.integration.test_redis_settings import PrivateRedis

T = TypeVar("T")

DEADLINE_S = 90
SAGAS = 300

# --- a worker that is told to stop ------------------------------------------------------------------

INVENTORY = MODULES["inventory"].replace(
    "    return StockReserved(",
    "    print('reserves', order.order_id, file=sys.stderr, flush=True)\n"
    "    await asyncio.sleep(0.05)\n"
    "    return StockReserved(",
)


class Worker:
    """`sagas run` as a process; which orders its handler was called for, as it says so."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.reserved: list[str] = []
        self.log: list[str] = []
        self._process = process
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._news:
                word, _, order = line.strip().partition(" ")
                (self.reserved if word == "reserves" else self.log).append(order)
                self._news.notify_all()

    def wait_for(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.reserved) >= count, DEADLINE_S), self.log

    def terminate(self) -> int:
        """SIGTERM, and the exit status once it has drained."""
        self._process.terminate()
        status = self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return status

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass
class Workers:
    """The project, and its processes."""

    project: Project
    started: ExitStack

    def start(self, service: str, servers: Mapping[str, str]) -> Worker:
        worker = Worker(self.project.start("run", service, **servers))
        self.started.callback(worker.kill)
        return worker


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    modules = {**MODULES, "inventory": f"import asyncio\nimport sys\n{INVENTORY}"}
    with ExitStack() as started:
        yield Workers(write_project(tmp_path, modules=modules), started)


async def test_a_stopped_worker_finishes_what_it_has_begun_and_the_next_one_only_the_rest(
    kafka_servers: str, redis_url: str, workers: Workers
) -> None:
    settings = SagaSettings(
        namespace=f"drain-{uuid4().hex[:12]}", kafka=kafka_servers, redis=redis_url, partitions=2
    )
    servers = {
        "SAGAS_NAMESPACE": settings.namespace,
        "SAGAS_KAFKA": kafka_servers,
        "SAGAS_REDIS": redis_url,
        "SAGAS_PARTITIONS": "2",
        "SAGAS_LOG_LEVEL": "WARNING",
    }
    applied = await asyncio.to_thread(workers.project.process, "topics", "apply", **servers)
    assert applied.code == 0, applied
    stock, _ = workers.start("inventory", servers), workers.start("payments", servers)
    orders = [f"order-{number}" for number in range(SAGAS)]
    async with real_platform(settings, client_id="tests") as platform:
        client = client_of(platform, [Ordering])
        first, meanwhile, later = orders[:100], orders[100:-50], orders[-50:]
        await asyncio.gather(*(client.start(OrderPlaced(order_id=order)) for order in first))
        await asyncio.to_thread(stock.wait_for, 20)
        stopping = asyncio.create_task(asyncio.to_thread(stock.terminate))
        for order in meanwhile:
            await client.start(OrderPlaced(order_id=order))
        assert await stopping == 0, stock.log
        await asyncio.gather(*(client.start(OrderPlaced(order_id=order)) for order in later))
        successor = workers.start("inventory", servers)
        for order in orders:
            view = await client.wait_for_end(Ordering, order, timeout_s=DEADLINE_S)
            assert view.status is SagaStatus.COMPLETED
    assert await asyncio.to_thread(successor.terminate) == 0, successor.log
    assert Counter((*stock.reserved, *successor.reserved)) == Counter(orders)


class OrderPlaced(Event, type="orders.OrderPlaced.v1"):
    order_id: str


class OrderCancelled(Event, type="orders.OrderCancelled.v1"):
    order_id: str


class StockReserved(Event, type="inventory.StockReserved.v1"):
    order_id: str


class StockReleased(Event, type="inventory.StockReleased.v1"):
    order_id: str


class PaymentCaptured(Event, type="payments.PaymentCaptured.v1"):
    order_id: str


class PaymentDeclined(Event, type="payments.PaymentDeclined.v1"):
    order_id: str


class Ordering(Saga):
    """The project's saga, as a client of other people knows it."""

    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=OrderCancelled)
    reserve_stock = Step(by="inventory", on=OrderPlaced, done=StockReserved, undone=StockReleased)
    capture_payment = Step(
        by="payments",
        on=StockReserved,
        done=PaymentCaptured,
        refused=PaymentDeclined,
        pivot=True,
    )


# --- servers that go away ---------------------------------------------------------------------------


class Placed(Event, type="shop.Placed.v1"):
    id: str


class Packed(Event, type="pack.Packed.v1"):
    id: str


class Unpacked(Event, type="pack.Unpacked.v1"):
    id: str


class Sent(Event, type="post.Sent.v1"):
    id: str


class Returned(Event, type="post.Returned.v1"):
    id: str


class Parcel(Saga):
    key = "id"
    start = Start(Placed, by="shop", undone=NOTHING)
    pack = Step(by="pack", on=Placed, done=Packed, undone=Unpacked)
    send = Step(by="post", on=Packed, done=Sent, refused=Returned, undone=NOTHING)


class Effects:
    """What took effect, counted; every tenth parcel comes back. ``many`` is set on the way."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self.many = asyncio.Event()

    def count(self, what: str, id_: str) -> None:
        self.counted[what, id_] += 1
        if len(self.counted) >= SAGAS // 3:
            self.many.set()

    def services(self) -> list[Service]:
        pack, post = Service("pack"), Service("post")

        @pack.performs(Parcel.pack)
        async def packs(placed: Placed, context: StepContext) -> Packed:
            self.count("pack", placed.id)
            return Packed(id=placed.id)

        @pack.undoes(Parcel.pack)
        async def unpacks(placed: Placed, packed: Packed | None, context: StepContext) -> Unpacked:
            self.count("unpack", placed.id)
            return Unpacked(id=placed.id)

        @post.performs(Parcel.send)
        async def sends(packed: Packed, context: StepContext) -> Sent | Returned:
            if packed.id.endswith("0"):
                return Returned(id=packed.id)
            self.count("send", packed.id)
            return Sent(id=packed.id)

        return [pack, post]


class WatchedTable(RedisSagaTable):
    """Says when the first call has failed."""

    def watch(self) -> asyncio.Event:
        self.failed = asyncio.Event()
        return self.failed

    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        return await _noting(super().load(saga, saga_id, events=events), self.failed)

    async def store(self, change: RowChange) -> bool:
        return await _noting(super().store(change), self.failed)


class WatchedBroker(KafkaBroker):
    """Says when the first publishing has failed."""

    def watch(self) -> asyncio.Event:
        self.failed = asyncio.Event()
        return self.failed

    async def publish(self, record: OutgoingRecord) -> None:
        await _noting(super().publish(record), self.failed)


async def _noting(call: Awaitable[T], failed: asyncio.Event) -> T:
    try:
        return await call
    except RetriableError:
        failed.set()
        raise


SETTINGS = KafkaSettings(
    connect_timeout_ms=2_000,
    request_timeout_ms=1_000,
    publish_timeout_ms=2_000,
    commit_timeout_ms=2_000,
    stop_timeout_ms=2_000,
    session_timeout_ms=6_000,
    heartbeat_interval_ms=500,
    rebalance_timeout_ms=10_000,
    fetch_wait_ms=100,
)


def journals() -> dict[str, Lifespan]:
    """A journal for each service, as its database would be: it outlives whatever fails."""

    def lifespan(journal: MemoryJournal) -> Lifespan:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Iterable[object]]:
            yield (journal,)

        return opened

    return {name: lifespan(MemoryJournal()) for name in ("pack", "post")}


@pytest.mark.parametrize("trouble", ["redis restarts", "redis is silent", "kafka is cut off"])
async def test_servers_that_go_away_cost_nothing_but_time(
    trouble: str, kafka_servers: str, redis_url: str, tmp_path: Path
) -> None:
    assert shutil.which("redis-server"), "redis-server is not on PATH: apt-get install redis-server"
    redis = PrivateRedis(tmp_path)
    durable = {"appendonly": "yes", "appendfsync": "always"}
    effects, stop, joined = Effects(), asyncio.Event(), asyncio.Event()
    topics = Topics(f"away-{uuid4().hex[:12]}")
    names = [
        of(name) for of in (topics.events, topics.dead_letters) for name in ("shop", "pack", "post")
    ]
    names.append(topics.control("parcel"))
    names += [topics.retry(name, ms) for name in ("pack", "post") for ms in RETRY_TIERS_MS]
    admin = KafkaAdmin(kafka_servers, client_id="tests", settings=SETTINGS)
    await admin.create_topics([NewTopic(name=name, partitions=2) for name in names])
    await asyncio.to_thread(redis.start, **durable)
    async with KafkaProxy(kafka_servers).running() as proxy, asyncio.timeout(DEADLINE_S):
        broker = WatchedBroker(proxy.address, client_id="tests", settings=SETTINGS)
        table = WatchedTable(redis.settings(timeout_ms=1_000))
        failed = broker.watch() if trouble.startswith("kafka") else table.watch()
        (table.watch if trouble.startswith("kafka") else broker.watch)()
        platform = Platform(
            topics=topics,
            broker=broker,
            table=table,
            clock=SystemClock(),
            ids=RandomIds(),
            reader=KafkaAdmin(proxy.address, client_id="tests-rebuild", settings=SETTINGS),
        )
        await broker.start()
        await table.start()
        running = asyncio.create_task(
            run_services(
                effects.services(), platform, stop=stop, resources=journals(), on_running=joined.set
            )
        )
        try:
            await joined.wait()
            client = client_of(platform, [Parcel])
            # The table of a new namespace is prepared first: what goes away must not go away before that.
            await client.start(Placed(id="first"))
            await client.wait_for_end(Parcel, "first", timeout_s=DEADLINE_S)
            starts = asyncio.gather(*(client.start(Placed(id=f"p{n}")) for n in range(SAGAS)))
            await effects.many.wait()
            await go_away(trouble, redis, proxy)
            await failed.wait()
            await come_back(trouble, redis, proxy, durable)
            await starts
            statuses = [
                (await client.wait_for_end(Parcel, f"p{n}", timeout_s=DEADLINE_S)).status
                for n in range(SAGAS)
            ]
        finally:
            stop.set()
            await running
            await broker.stop()
            await table.stop()
            redis.stop()
    assert statuses == [
        SagaStatus.COMPLETED if n % 10 else SagaStatus.COMPENSATED for n in range(SAGAS)
    ]
    expected = [("pack", n) for n in range(SAGAS)]
    expected += [("send" if n % 10 else "unpack", n) for n in range(SAGAS)]
    del effects.counted["pack", "first"], effects.counted["send", "first"]
    assert effects.counted == Counter((what, f"p{n}") for what, n in expected)


async def go_away(trouble: str, redis: PrivateRedis, proxy: KafkaProxy) -> None:
    match trouble:
        case "redis restarts":
            await asyncio.to_thread(redis.stop)
        case "redis is silent":
            assert redis.process is not None
            redis.process.send_signal(signal.SIGSTOP)
        case _:
            proxy.cut()


async def come_back(
    trouble: str, redis: PrivateRedis, proxy: KafkaProxy, durable: dict[str, str]
) -> None:
    match trouble:
        case "redis restarts":
            await asyncio.to_thread(redis.start, **durable)
        case "redis is silent":
            assert redis.process is not None
            redis.process.send_signal(signal.SIGCONT)
        case _:
            proxy.heal()
