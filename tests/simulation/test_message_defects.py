"""Messages, handlers and observers that once broke the runtime, each in its smallest form."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest

from sagas import EventContext, RetriableError, Service
from sagas.adapters.memory.journal import MemoryJournal
from sagas.adapters.memory.table import MemorySagaTable
from sagas.context import StepContext
from sagas.core.instance import SagaStatus
from sagas.ports import (
    MessageTooLarge,
    OutgoingRecord,
    Row,
    RowChange,
    TableUnavailable,
)
from sagas.runtime.assembly import ServiceRunner
from sagas.runtime.patience import Patience
from sagas.runtime.relay import OutboxRelay
from sagas.testing.simulation.loop import run
from tests.simulation.purchase import (
    TIMEOUT_S,
    TOPICS,
    Paid,
    Placed,
    Purchase,
    World,
    depot,
    till,
)

# --- dead letters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1_048_300], ids=["nothing at all", "as large as can be"])
def test_no_record_is_so_bad_that_its_dead_letter_stops_the_worker(size: int) -> None:
    async def story() -> tuple[SagaStatus, list[dict[str, str]]]:
        world = World()
        bad = OutgoingRecord(TOPICS.events("front"), None, b"x" * size or None)
        world.broker._topic(bad.topic).append(bad, timestamp_ms=0)
        async with world.running(till(), depot()):
            await world.client.start(Placed(id="1"))
            return await world.ends("1"), world.dead("till")

    status, dead = run(story())
    assert status is SagaStatus.COMPLETED
    assert len(dead) == 1
    assert dead[0]["dlq-offset"] == "0"


def test_a_dead_letter_that_loses_its_value_says_so() -> None:
    async def story() -> list[dict[str, str]]:
        world = World()
        await world.broker.publish(
            OutgoingRecord(TOPICS.events("front"), b"k", b"x" * 1_048_300, (("mine", b"1"),))
        )
        async with world.running(till()):
            await world.until(lambda: bool(world.dead("till")))
        return world.dead("till")

    (dead,) = run(story())
    assert dead["dlq-omitted"] == "key, value, headers"
    assert "mine" not in dead
    assert dead["dlq-value-bytes"] == "1048300"


# --- handlers ---------------------------------------------------------------------------------------


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error", [ValueError("\ud800"), Unprintable()], ids=["lone surrogate", "no words"]
)
def test_whatever_a_handler_raises_the_saga_ends(error: Exception) -> None:
    async def pay(placed: Placed, context: StepContext) -> Paid:
        raise error

    async def story() -> tuple[SagaStatus, list[dict[str, str]]]:
        world = World()
        async with world.running(till(pay), depot()):
            await world.client.start(Placed(id="1"))
            return await world.ends("1"), world.dead("till")

    assert run(story()) == (SagaStatus.COMPENSATED, [])


def test_whatever_an_observer_raises_the_worker_goes_on() -> None:
    till_ = till()

    @till_.observes(Placed)
    async def observe(placed: Placed, context: EventContext) -> None:
        raise ValueError("\ud800")

    async def story() -> tuple[SagaStatus, list[dict[str, str]]]:
        world = World()
        async with world.running(till_, depot()):
            await world.client.start(Placed(id="1"))
            await world.until(lambda: bool(world.dead("till")))
            await world.client.start(Placed(id="2"))
            return await world.ends("2"), world.dead("till")

    status, dead = run(story())
    assert status is SagaStatus.COMPLETED
    assert dead[0]["dlq-exception"] == "ValueError"


def test_an_outcome_that_nobody_could_read_is_not_recorded() -> None:
    """Not a number is null in JSON, which is no number to whoever reads it."""

    async def pay(placed: Placed, context: StepContext) -> Paid:
        return Paid(id=placed.id, amount=math.nan)

    async def story() -> tuple[SagaStatus, list[dict[str, str]]]:
        world = World()
        async with world.running(till(pay), depot()):
            await world.client.start(Placed(id="1"))
            return await world.ends("1"), world.dead("depot")

    assert run(story()) == (SagaStatus.COMPENSATED, [])


@pytest.mark.parametrize("journal", [False, True])
def test_a_retriable_error_of_a_handler_uses_up_its_attempts(*, journal: bool) -> None:
    attempts = []

    async def pay(placed: Placed, context: StepContext) -> Paid:
        attempts.append(context.attempt)
        raise RetriableError("the bank is away")

    async def story() -> SagaStatus:
        world = World(drain_timeout_s=1)
        resources = [MemoryJournal()] if journal else []
        async with world.running(till(pay), depot(), resources=resources):
            await world.client.start(Placed(id="1"))
            return await world.ends("1")

    assert run(story()) is SagaStatus.COMPENSATED
    assert attempts == [1, 2, 3]


def test_a_handler_that_cancels_its_own_task_ends_the_worker_and_loses_nothing() -> None:
    """The message would stay begun for ever, uncommitted, and nobody would know."""
    times = 0

    async def pay(placed: Placed, context: StepContext) -> Paid:
        nonlocal times
        times += 1
        task = asyncio.current_task()
        if times == 1 and task is not None:
            task.cancel()
            await asyncio.sleep(1)
        return Paid(id=placed.id)

    async def story() -> SagaStatus:
        world = World()
        await world.client.start(Placed(id="1"))
        with pytest.raises(RuntimeError, match="a handler has cancelled its own task"):
            await asyncio.wait_for(ServiceRunner(till(pay), world.platform).run(), TIMEOUT_S)
        async with world.running(till(pay), depot()):
            return await world.ends("1")

    assert run(story()) is SagaStatus.COMPLETED


# --- observers --------------------------------------------------------------------------------------


def test_an_observer_that_fails_takes_no_event_from_the_others() -> None:
    seen = []
    watcher = Service("watcher")

    @watcher.observes(Placed)
    async def bad(placed: Placed, context: EventContext) -> None:
        raise ValueError("no")

    @watcher.observes(Placed)
    async def good(placed: Placed, context: EventContext) -> None:
        seen.append(placed.id)

    async def story() -> list[dict[str, str]]:
        world = World()
        async with world.running(watcher):
            await world.client.start(Placed(id="1"))
            await world.until(lambda: bool(world.dead("watcher")))
        return world.dead("watcher")

    dead = run(story())
    assert seen == ["1"]
    assert len(dead) == 1


# --- outside ----------------------------------------------------------------------------------------


def test_a_start_whose_header_names_another_saga_than_its_key_starts_nothing() -> None:
    """Its compensations would undo what belongs to somebody else."""

    async def story() -> list[dict[str, str]]:
        world = World()
        headers = (("ce_type", b"front.Placed.v1"), ("ce_sagaid", b"mine"))
        async with world.running(till()):
            await world.broker.publish(
                OutgoingRecord(TOPICS.events("front"), b"mine", b'{"id": "yours"}', headers)
            )
            await world.until(lambda: bool(world.dead("till")))
        assert await world.table.load("purchase", "mine") is None
        return world.dead("till")

    (dead,) = run(story())
    assert dead["dlq-exception"] == "InvalidMessage"
    assert "'yours'" in dead["dlq-reason"]


class NoTable(MemorySagaTable):
    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        raise TableUnavailable("away")

    async def store(self, change: RowChange) -> bool:
        raise TableUnavailable("away")


def test_waiting_for_an_end_ends_in_time_though_the_table_is_away() -> None:
    async def story() -> None:
        client = World().client_of(table=NoTable())
        async with asyncio.timeout(TIMEOUT_S):
            with pytest.raises(TimeoutError, match=r"has not ended after 5 s.*away"):
                await client.wait_for_end(Purchase, "1", timeout_s=5)

    run(story())


class OutboxWithOneTooLarge:
    """Two records; the first can never be published."""

    def __init__(self) -> None:
        self.left = [b"x" * 2_000_000, b"small"]

    async def add(self, transaction: object, record: OutgoingRecord) -> None:
        raise NotImplementedError

    async def relay(
        self, publish: Callable[[OutgoingRecord], Awaitable[None]], *, records_max: int
    ) -> int:
        error: MessageTooLarge | None = None
        published = 0
        for value in tuple(self.left):
            try:
                await publish(OutgoingRecord("t", value[:1], value))
            except MessageTooLarge as caught:
                error = caught
            else:
                self.left.remove(value)
                published += 1
        if error is not None:
            raise error
        return published


def test_a_record_that_can_not_be_published_does_not_end_the_relay() -> None:
    async def story() -> int:
        world = World()
        outbox = OutboxWithOneTooLarge()
        relay = OutboxRelay(
            outbox, broker=world.broker, clock=world.clock, patience=Patience(world.clock)
        )
        task = asyncio.create_task(relay.run())
        await world.until(lambda: len(outbox.left) == 1)
        outbox.left.append(b"later")
        await world.until(lambda: len(outbox.left) == 1)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return len(world.broker.records("t"))

    assert run(story()) == 2
