"""What once broke the worker, each in its smallest form: nothing hangs, dies or is lost by it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.consumer import MemoryConsumer
from sagas.context import StepContext
from sagas.core.errors import SettingsError
from sagas.core.instance import SagaStatus
from sagas.ports import (
    BrokerUnavailable,
    OutgoingRecord,
    RebalanceListener,
    Record,
    TopicPartition,
)
from sagas.runtime.assembly import ServiceRunner
from sagas.runtime.health import Condition
from sagas.testing.simulation.loop import run
from tests.simulation.purchase import (
    TIMEOUT_S,
    TOPICS,
    Paid,
    Placed,
    World,
    depot,
    till,
)

# --- joining ----------------------------------------------------------------------------------------


class OnceUnavailable:
    """A broker whose consumers can be started once, the first of them in vain, as Kafka's are."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def consumer(
        self,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
        seldom: Mapping[str, int] = MappingProxyType({}),
    ) -> MemoryConsumer:
        consumer = self._broker.consumer(topics, group=group, listener=listener)
        if self.refused < 3:
            self.refused += 1
            consumer.start = self._refuse(consumer)  # type: ignore[method-assign]
        return consumer

    def _refuse(self, consumer: MemoryConsumer) -> Callable[[], Coroutine[Any, Any, None]]:
        start = consumer.start

        async def refuse() -> None:
            consumer.start = start  # type: ignore[method-assign]
            settled = asyncio.create_task(start())
            await asyncio.sleep(0)
            settled.cancel()
            await asyncio.gather(settled, return_exceptions=True)
            raise BrokerUnavailable("away")

        return refuse


def test_a_worker_joins_a_broker_that_is_away_at_first() -> None:
    async def story() -> SagaStatus:
        world = World()
        object.__setattr__(world.platform, "broker", OnceUnavailable(world.broker))
        async with world.running(till(), depot()):
            await world.client.start(Placed(id="1"))
            return await world.ends("1")

    assert run(story()) is SagaStatus.COMPLETED


class Expels:
    """A broker that, once told to, has lost a service's members, and lets nobody join while it is shut."""

    def __init__(self, broker: MemoryBroker, group: str) -> None:
        self._broker = broker
        self._group = group
        self.is_shut = False
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def consumer(self, topics: frozenset[str], *, group: str, **more: Any) -> MemoryConsumer:
        consumer = self._broker.consumer(topics, group=group, **more)
        if group == self._group:
            poll, start = consumer.poll, consumer.start

            async def poll_if_open(**bounds: int) -> Sequence[Record]:
                self._look()
                return await poll(**bounds)

            async def start_if_open() -> None:
                self._look()
                await start()

            consumer.poll, consumer.start = poll_if_open, start_if_open  # type: ignore[method-assign]
        return consumer

    def _look(self) -> None:
        if self.is_shut:
            self.refused += 1
            raise BrokerUnavailable("you are no member")


def test_a_worker_that_has_lost_its_group_is_ready_once_it_has_joined_again() -> None:
    async def story() -> list[Condition]:
        world, seen = World(), []
        expels = Expels(world.broker, TOPICS.group("till"))
        object.__setattr__(world.platform, "broker", expels)
        async with world.running(till(), depot()) as (runner, _):
            await world.until(lambda: runner.health().condition is Condition.ACCEPTING)
            expels.is_shut = True
            await world.until(lambda: expels.refused > 5)  # polls first, then it tries to join
            seen.append(runner.health().condition)
            expels.is_shut = False
            await world.client.start(Placed(id="1"))
            assert await world.ends("1") is SagaStatus.COMPLETED
            seen.append(runner.health().condition)
        return seen

    assert run(story()) == [Condition.STARTING, Condition.ACCEPTING]


# --- turns, drains, rebalances ----------------------------------------------------------------------


def test_a_bad_record_does_not_break_the_turns_of_its_saga() -> None:
    """Placed (slow), a record that is refused, and Placed again: one at a time all the same."""
    busy, most = 0, 0

    async def pay(placed: Placed, context: StepContext) -> Paid:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(5)
        busy -= 1
        return Paid(id=placed.id)

    async def story() -> SagaStatus:
        world = World()
        unreadable = OutgoingRecord(TOPICS.events("front"), b"1", b"{}", (("ce_type", b"\xff"),))
        async with world.running(till(pay), depot()):
            await world.client.start(Placed(id="1"))
            await world.broker.publish(unreadable)
            await world.until(lambda: bool(world.dead("till")))
            await world.client.start(Placed(id="1"))
            return await world.ends("1")

    assert run(story()) is SagaStatus.COMPLETED
    assert most == 1


def test_a_handler_that_ignores_its_cancellation_does_not_hold_the_drain() -> None:
    begun = asyncio.Event()

    async def pay(placed: Placed, context: StepContext) -> Paid:
        begun.set()
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        return Paid(id=placed.id)

    async def story() -> float:
        world = World(drain_timeout_s=2)
        loop = asyncio.get_running_loop()
        runner = ServiceRunner(till(pay), world.platform)
        task = asyncio.create_task(runner.run())
        await world.client.start(Placed(id="1"))
        await begun.wait()
        before = loop.time()
        runner.stop()
        await task
        return loop.time() - before

    assert run(story()) < 10


def test_a_drain_that_is_cut_off_leaves_no_partition_behind() -> None:
    """The broker gives a listener so much time; then the partitions are somebody else's."""

    async def story() -> tuple[int, set[TopicPartition]]:
        world = World(drain_timeout_s=1000)
        blocked = asyncio.Event()

        async def pay(placed: Placed, context: StepContext) -> Paid:
            await blocked.wait()
            return Paid(id=placed.id)

        async with world.running(till(pay)) as (runner,):
            await world.client.start(Placed(id="1"))
            await world.until(lambda: runner.worker is not None and runner.worker.in_flight > 0)
            worker = runner.worker
            assert worker is not None
            revoking = asyncio.create_task(worker.revoked(worker.partitions))
            await asyncio.sleep(0.1)
            revoking.cancel()
            await asyncio.gather(revoking, return_exceptions=True)
            left = worker.in_flight, set(worker.partitions)
            blocked.set()
            return left

    assert run(story()) == (0, set())


def test_a_commit_that_is_refused_for_good_leaves_no_member_behind() -> None:
    async def story() -> list[MemoryConsumer]:
        world = World()
        made: list[MemoryConsumer] = []
        stopped: list[MemoryConsumer] = []
        build = world.broker.consumer

        def consumer(topics: frozenset[str], **more: Any) -> MemoryConsumer:
            one = build(topics, **more)
            stop = one.stop

            async def refuse(offsets: Mapping[TopicPartition, int]) -> None:
                raise SettingsError("not allowed")

            async def note() -> None:
                stopped.append(one)
                await stop()

            one.commit, one.stop = refuse, note  # type: ignore[method-assign]
            made.append(one)
            return one

        world.broker.consumer = consumer  # type: ignore[method-assign]
        runner = ServiceRunner(till(), world.platform)
        task = asyncio.create_task(runner.run())
        await world.client.start(Placed(id="1"))
        await asyncio.wait((task,), timeout=TIMEOUT_S)
        assert isinstance(task.exception(), SettingsError)
        assert stopped
        return [one for one in made if one not in stopped]

    assert run(story()) == []


# --- two workers on one message ---------------------------------------------------------------------


def test_an_event_that_two_workers_decided_has_the_same_bytes_wherever_it_is() -> None:
    """The one that lost the race publishes what is stored, not what it would have stored."""
    receipts = iter("abcdef")
    both = asyncio.Event()
    waiting = 0

    async def pay(placed: Placed, context: StepContext) -> Paid:
        nonlocal waiting
        waiting += 1
        receipt = next(receipts)
        if waiting == 2:
            both.set()
        await both.wait()
        await asyncio.sleep(0.01 * waiting if receipt == "a" else 0)
        return Paid(id=placed.id, receipt=receipt)

    async def story() -> set[bytes]:
        world = World()
        async with world.running(till(pay)) as (runner,):
            await world.client.start(Placed(id="1"))
            await world.until(lambda: waiting == 1)
            assert runner.worker is not None
            # It has lost its membership and does not know: another one takes over meanwhile.
            runner.worker._consumer.crash()  # type: ignore[attr-defined]
            async with world.running(till(pay)):
                await world.until(lambda: len(world.broker.records(TOPICS.events("till"))) > 1)
        records = world.broker.records(TOPICS.events("till"))
        row = await world.table.load("purchase", "1", events=True)
        assert row is not None
        stored = row.events["till.Paid.v1"].partition(b"\n")[2]
        return {stored, *(record.value or b"" for record in records)}

    assert len(run(story())) == 1


def test_a_late_success_is_undone_with_the_outcome_that_is_in_hand() -> None:
    """Rule 11 is for participants without a journal: what else should tell them what to undo?"""
    refunds: list[Paid | None] = []
    waiting, go = asyncio.Event(), asyncio.Event()

    async def slow(placed: Placed, context: StepContext) -> Paid:
        waiting.set()
        await go.wait()
        return Paid(id=placed.id, receipt="late")

    async def broken(placed: Placed, context: StepContext) -> Paid:
        raise ValueError("no")

    async def story() -> SagaStatus:
        world = World()
        async with world.running(till(slow, refunds)) as (runner,):
            await world.client.start(Placed(id="1"))
            await waiting.wait()
            assert runner.worker is not None
            runner.worker._consumer.crash()  # type: ignore[attr-defined]
            async with world.running(till(broken, refunds)):
                status = await world.ends("1")
                go.set()
                await world.until(lambda: len(refunds) > 1)
        return status

    assert run(story()) is SagaStatus.COMPENSATED
    assert refunds == [None, Paid(id="1", receipt="late")]
