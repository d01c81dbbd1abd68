"""Publishing and reading: what goes in comes out, once per group, in order within a key."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sagas.core.errors import ContractViolation, SettingsError
from sagas.ports import (
    BrokerUnavailable,
    Consumer,
    MessageTooLarge,
    NewTopic,
    OutgoingRecord,
    Record,
)
from tests.contract.broker.world import DEADLINE_S, World, next_offsets, read, values


async def test_a_record_comes_out_as_it_went_in(world: World) -> None:
    headers = (("ce_id", b"1"), ("twice", b"a"), ("twice", b"b"), ("empty", b""))
    await world.broker.publish(OutgoingRecord(world.topic, b"key", b"\x00\xff", headers))

    (record,) = await read(await world.join(), 1)

    assert (record.topic, record.key, record.value) == (world.topic, b"key", b"\x00\xff")
    assert record.headers == headers
    assert record.offset == 0
    assert record.timestamp_ms > 0


async def test_no_value_and_an_empty_value_are_two_things(world: World) -> None:
    await world.broker.publish(OutgoingRecord(world.topic, b"key", None))
    await world.broker.publish(OutgoingRecord(world.topic, b"key", b""))
    await world.broker.publish(OutgoingRecord(world.topic, None, b"no key"))

    records = await read(await world.join(), 3)

    assert {(record.key, record.value) for record in records} == {
        (b"key", None),
        (b"key", b""),
        (None, b"no key"),
    }


async def test_a_record_without_key_and_value_is_refused(world: World) -> None:
    with pytest.raises(ContractViolation, match="key or a value"):
        await world.broker.publish(OutgoingRecord(world.topic, None, None))


async def test_records_of_one_key_stay_in_order(world: World) -> None:
    keys = [b"a", b"b", b"c", b"d", b"e"]
    for number in range(20):
        for key in keys:
            await world.broker.publish(OutgoingRecord(world.topic, key, b"%d" % number))

    records = await read(await world.join(), 100)

    for key in keys:
        mine = [record for record in records if record.key == key]
        assert [record.value for record in mine] == [b"%d" % number for number in range(20)]
        assert len({record.partition for record in mine}) == 1


async def test_offsets_of_a_partition_count_up_from_zero(world: World) -> None:
    await world.publish((b"%d" % number for number in range(10)), key=b"one")

    records = await read(await world.join(), 10)

    assert [record.offset for record in records] == list(range(10))


async def test_many_concurrent_publishes_all_arrive_once(world: World) -> None:
    sent = {b"%d" % number for number in range(2_000)}
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        for value in sent:
            record = OutgoingRecord(world.topic, value, value)
            tasks.create_task(world.broker.publish(record))

    consumer = await world.join()
    records = await read(consumer, len(sent))

    assert values(records) == sent
    assert await consumer.poll(records_max=10, timeout_ms=200) == []


async def test_a_record_over_the_limit_is_refused_for_good(world: World) -> None:
    with pytest.raises(MessageTooLarge, match=world.topic):
        await world.broker.publish(OutgoingRecord(world.topic, b"key", bytes(2 * 1024 * 1024)))

    await world.publish([b"small"])
    assert values(await read(await world.join(), 1)) == {b"small"}


async def test_publishing_to_an_unknown_topic_says_so(world: World) -> None:
    unknown = f"unknown-{uuid.uuid4().hex}"
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(SettingsError, match=f"{unknown} does not exist"):
            await world.broker.publish(OutgoingRecord(unknown, b"key", b"value"))


async def test_reading_an_unknown_topic_says_so(world: World) -> None:
    unknown = f"unknown-{uuid.uuid4().hex}"
    world.topic = unknown
    with pytest.raises(SettingsError, match=f"{unknown} does not exist"):
        await world.join()


async def test_every_group_gets_every_record(world: World) -> None:
    await world.publish([b"a", b"b", b"c"])
    for group in ("first", "second"):
        consumer = await world.join(group=f"{world.group}-{group}")
        assert values(await read(consumer, 3)) == {b"a", b"b", b"c"}


async def test_polling_with_nothing_there_ends_by_the_timeout(world: World) -> None:
    consumer = await world.join()
    async with asyncio.timeout(DEADLINE_S):
        assert list(await consumer.poll(records_max=10, timeout_ms=50)) == []
        assert list(await consumer.poll(records_max=10, timeout_ms=0)) == []


async def test_a_waiting_poll_gets_what_is_published(world: World) -> None:
    consumer = await world.join()
    reading = asyncio.create_task(read(consumer, 1))
    await world.publish([b"now"])
    assert values(await reading) == {b"now"}


async def test_a_poll_that_waits_ends_when_the_consumer_stops(world: World) -> None:
    consumer = await world.join()
    waiting = asyncio.create_task(consumer.poll(records_max=10, timeout_ms=3_600_000))
    await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE_S):
        await consumer.stop()
        assert list(await waiting) == []
    with pytest.raises(BrokerUnavailable, match="stopped"):
        await consumer.poll(records_max=10, timeout_ms=0)


async def test_a_cancelled_poll_loses_nothing(world: World) -> None:
    consumer = await world.join()
    waiting = asyncio.create_task(consumer.poll(records_max=10, timeout_ms=3_600_000))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    await world.publish([b"a", b"b"])
    assert values(await read(consumer, 2)) == {b"a", b"b"}


async def test_after_a_commit_the_next_member_goes_on_from_there(world: World) -> None:
    await world.publish((b"%d" % number for number in range(10)), key=b"one")
    first = await world.join()
    await first.commit(next_offsets(await read(first, 6)))
    await first.stop()

    records = await read(await world.join(), 4)

    assert [record.offset for record in records] == [6, 7, 8, 9]


async def test_a_commit_may_be_repeated(world: World) -> None:
    await world.publish([b"a", b"b"], key=b"one")
    first = await world.join()
    offsets = next_offsets(await read(first, 1))
    await first.commit(offsets)
    await first.commit(offsets)
    await first.commit({})
    await first.stop()

    assert values(await read(await world.join(), 1)) == {b"b"}


async def test_what_is_not_committed_is_delivered_again(world: World) -> None:
    await world.publish((b"%d" % number for number in range(5)), key=b"one")
    first = await world.join()
    await read(first, 5)
    await first.stop()

    records = await read(await world.join(), 5)

    assert [record.offset for record in records] == [0, 1, 2, 3, 4]


async def test_pausing_and_resuming_loses_nothing(world: World) -> None:
    consumer = await world.join()
    await world.publish((b"%d" % number for number in range(10)), key=b"one")
    first = await read(consumer, 3)
    partition = first[0].topic_partition

    consumer.pause(frozenset({partition}))
    await world.publish([b"10"], key=b"one")
    for _ in range(3):
        assert list(await consumer.poll(records_max=10, timeout_ms=100)) == []
    consumer.resume(frozenset({partition}))

    rest = await read(consumer, 8)
    assert [record.offset for record in (*first, *rest)] == list(range(11))


async def test_a_paused_partition_does_not_hold_the_others(world: World) -> None:
    listener_keys = [b"%d" % number for number in range(50)]
    consumer = await world.join()
    await world.publish(listener_keys)
    records = await read(consumer, 50)
    await consumer.commit(next_offsets(records))
    paused = records[0].topic_partition
    others = {record.key for record in records if record.topic_partition != paused}

    consumer.pause(frozenset({paused}))
    await world.publish(listener_keys)

    assert values(await read(consumer, len(others))) == others


async def test_what_seldom_comes_comes_while_other_topics_never_rest(world: World) -> None:
    """And at once where nothing else comes; a pause holds there as everywhere."""
    seldom = f"{world.topic}-seldom"
    await world.admin.create_topics([NewTopic(name=seldom, partitions=4)])
    consumer = world.member(seldom=frozenset({seldom}))
    async with asyncio.timeout(DEADLINE_S):
        await consumer.start()
    await world.broker.publish(OutgoingRecord(seldom, b"0", b"before"))
    assert values(await read(consumer, 1)) == {b"before"}

    async with load(world):
        for number in range(5):
            await read(consumer, 20)
            value = b"seldom %d" % number
            await world.broker.publish(OutgoingRecord(seldom, b"%d" % number, value))
            assert (await next_from(consumer, seldom)).value == value
        await world.broker.publish(OutgoingRecord(seldom, b"0", b"last"))
        last = await next_from(consumer, seldom)
        consumer.pause(frozenset({last.topic_partition}))
        await world.broker.publish(OutgoingRecord(seldom, b"0", b"held"))
        assert not [one for one in await read(consumer, 200) if one.topic == seldom]
        consumer.resume(frozenset({last.topic_partition}))
        held = await next_from(consumer, seldom)
        assert (held.value, held.offset) == (b"held", last.offset + 1)


@asynccontextmanager
async def load(world: World) -> AsyncIterator[None]:
    """Records on the world's topic, one after the other, until the block is left."""

    async def forever() -> None:
        for number in itertools.count():
            await world.publish([b"load"], key=b"%d" % (number % 50))

    publishing = asyncio.create_task(forever())
    try:
        yield
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)


async def next_from(consumer: Consumer, topic: str) -> Record:
    """Poll until a record of the topic comes; those of others are passed over."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            records = await consumer.poll(records_max=500, timeout_ms=200)
            if found := [record for record in records if record.topic == topic]:
                (record,) = found
                return record


async def test_creating_topics_twice_leaves_them_as_they_are(world: World) -> None:
    names = [f"{world.topic}-{suffix}" for suffix in "ab"]
    await world.admin.create_topics([NewTopic(name=names[0], partitions=2)])
    await world.admin.create_topics(
        [
            NewTopic(name=names[0], partitions=8),
            NewTopic(name=names[1], partitions=3, retention_ms=-1),
        ]
    )

    topics = await world.admin.describe_topics()

    assert topics[names[0]].partitions == 2
    assert topics[names[1]].partitions == 3
    assert topics[names[1]].name == names[1]
    assert topics[names[1]].replication_factor == 1
    assert topics[world.topic].partitions == 4


async def test_a_topic_that_cannot_be_is_refused_with_the_reason(world: World) -> None:
    with pytest.raises(SettingsError, match="not a topic"):
        await world.admin.create_topics([NewTopic(name="not a topic", partitions=1)])
    with pytest.raises(SettingsError, match=f"{world.topic}-none"):
        await world.admin.create_topics([NewTopic(name=f"{world.topic}-none", partitions=0)])


async def test_a_topic_is_read_to_its_present_end(world: World) -> None:
    assert await _read_to_end(world) == []
    sent = {b"%d" % number for number in range(50)}
    await world.publish(sent)
    headers = (("a", b"1"), ("a", b"\xff"))
    await world.broker.publish(OutgoingRecord(world.topic, b"key", None, headers))

    records = await _read_to_end(world)

    assert len(records) == 51
    assert values(records) == sent | {b""}
    (last,) = [record for record in records if record.key == b"key"]
    assert (last.value, last.headers) == (None, headers)
    for partition in {record.partition for record in records}:
        offsets = [record.offset for record in records if record.partition == partition]
        assert offsets == list(range(len(offsets)))


async def test_reading_to_the_end_takes_nothing_from_a_group(world: World) -> None:
    await world.publish([b"a", b"b"])
    consumer = await world.join()
    assert values(await _read_to_end(world)) == {b"a", b"b"}
    assert values(await read(consumer, 2)) == {b"a", b"b"}


async def test_what_comes_while_it_reads_is_not_waited_for(world: World) -> None:
    await world.publish([b"a"])
    records = []
    async with asyncio.timeout(DEADLINE_S):
        async for record in world.admin.read_to_end(world.topic):
            records.append(record)
            await world.publish([b"b"])
    assert values(records) == {b"a"}


async def test_a_missing_topic_has_no_end(world: World) -> None:
    with pytest.raises(SettingsError, match=f"topic {world.topic}-none does not exist"):
        async for _ in world.admin.read_to_end(f"{world.topic}-none"):
            pass


async def _read_to_end(world: World) -> list[Record]:
    async with asyncio.timeout(DEADLINE_S):
        return [record async for record in world.admin.read_to_end(world.topic)]
