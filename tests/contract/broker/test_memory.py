"""What only the memory broker has: crashes at will, topics made by naming them, virtual time."""

import asyncio

import pytest

from sagas.adapters.clock import SystemClock
from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.consumer import MemoryConsumer
from sagas.ports import BrokerUnavailable, OutgoingRecord, TopicPartition
from tests.contract.broker.world import Listener, read, values


class FrozenClock:
    """Time that never passes: whoever waits for it waits for ever."""

    def now_ms(self) -> int:
        return 1_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.get_running_loop().create_future()


async def _started(broker: MemoryBroker, listener: Listener) -> MemoryConsumer:
    consumer = broker.consumer(frozenset({"t"}), group="g", listener=listener)
    await consumer.start()
    return consumer


async def test_a_crashed_member_is_replaced_and_its_work_redelivered() -> None:
    broker = MemoryBroker(SystemClock(), auto_create=True)
    first, second = Listener(), Listener()
    crashing = await _started(broker, first)
    staying = await _started(broker, second)
    await first.until(lambda: len(first.owned) == 2)
    sent = {b"%d" % number for number in range(20)}
    for value in sent:
        await broker.publish(OutgoingRecord("t", value, value))
    assert await crashing.poll(records_max=100, timeout_ms=1_000)
    calls = list(first.log)

    crashing.crash()
    await second.until(lambda: len(second.owned) == 4)

    assert values(await read(staying, 20)) == sent
    assert first.log == calls
    with pytest.raises(BrokerUnavailable):
        await crashing.poll(records_max=1, timeout_ms=0)


async def test_a_crash_ends_a_drain() -> None:
    broker = MemoryBroker(FrozenClock(), auto_create=True)

    async def never_ends(_: frozenset[TopicPartition]) -> None:
        await asyncio.get_running_loop().create_future()

    stuck = Listener(drain=never_ends)
    crashing = await _started(broker, stuck)
    joining = asyncio.create_task(_started(broker, Listener()))
    await stuck.until(lambda: stuck.log[-1] == "revoked")
    crashing.crash()
    async with asyncio.timeout(10):
        await joining


async def test_a_drain_is_bounded_by_the_rebalance_timeout() -> None:
    broker = MemoryBroker(SystemClock(), auto_create=True, rebalance_timeout_ms=10)
    cancelled = asyncio.Event()

    async def never_ends(_: frozenset[TopicPartition]) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    stuck = Listener(drain=never_ends)
    await _started(broker, stuck)
    async with asyncio.timeout(10):
        await _started(broker, Listener())
        await cancelled.wait()
    assert len(stuck.owned) == 2


async def test_with_virtual_time_a_waiting_poll_is_no_timer() -> None:
    broker = MemoryBroker(FrozenClock(), auto_create=True, poll_timeouts=False)
    consumer = await _started(broker, Listener())
    waiting = asyncio.create_task(consumer.poll(records_max=10, timeout_ms=1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task(), waiting}
    await broker.publish(OutgoingRecord("t", b"k", b"v"))
    (record,) = await waiting
    assert record.timestamp_ms == 1_000


async def test_records_of_a_topic_are_seen_in_the_order_of_publishing() -> None:
    broker = MemoryBroker(FrozenClock(), partitions_default=3, auto_create=True)
    for number in range(9):
        await broker.publish(OutgoingRecord("t", b"%d" % number, b"%d" % number))
    assert [record.value for record in broker.records("t")] == [b"%d" % n for n in range(9)]
    assert (await broker.describe_topics())["t"].partitions == 3
