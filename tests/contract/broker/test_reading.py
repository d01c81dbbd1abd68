"""What a rebuild needs of every broker: partitions read to their end, and how long topics keep records."""

import asyncio
import uuid

from sagas.ports import NewTopic, OutgoingRecord, TopicPartition
from sagas.restoring import TailReader, TopicReader
from tests.contract.broker.world import DEADLINE_S, World, values


def reader_of(world: World) -> TopicReader:
    """Every adapter that looks at topics reads them, too."""
    reader: TopicReader = world.admin  # type: ignore[assignment]
    return reader


async def read(world: World, *partitions: TopicPartition) -> list[tuple[str, int, bytes]]:
    async with asyncio.timeout(DEADLINE_S):
        return [
            (one.topic, one.partition, one.value or b"")
            async for one in reader_of(world).read_partitions(partitions)
        ]


async def test_partitions_of_several_topics_are_read_to_their_end(world: World) -> None:
    other = f"{world.topic}-other"
    await world.admin.create_topics([NewTopic(name=other, partitions=2)])
    written = [f"{n}".encode() for n in range(60)]
    await world.publish(written)
    for value in written[:20]:
        await world.broker.publish(OutgoingRecord(other, value, value))
    everything = [TopicPartition(world.topic, n) for n in range(4)]
    everything += [TopicPartition(other, n) for n in range(2)]
    alone = [await read(world, one) for one in everything]
    assert all(
        (topic, number) == one
        for one, records in zip(everything, alone, strict=True)
        for topic, number, _ in records
    )
    assert sorted(value for records in alone[:4] for *_, value in records) == sorted(written)
    assert sorted(value for records in alone[4:] for *_, value in records) == sorted(written[:20])
    together = await read(world, everything[1], everything[5])
    assert sorted(together) == sorted(alone[1] + alone[5])
    for one in (1, 5):
        assert [found for found in together if found[:2] == everything[one]] == alone[one]


async def test_nothing_is_read_of_no_partitions_and_of_empty_ones(world: World) -> None:
    assert await read(world) == []
    assert await read(world, TopicPartition(world.topic, 1)) == []


async def test_what_comes_while_it_is_read_comes_another_time(world: World) -> None:
    await world.publish([b"a", b"b"], key=b"k")
    found = []
    async with asyncio.timeout(DEADLINE_S):
        partitions = [TopicPartition(world.topic, n) for n in range(4)]
        async for record in reader_of(world).read_partitions(partitions):
            await world.publish([b"later"], key=b"k")
            found.append(record)
    assert values(found) == {b"a", b"b"}


async def test_the_last_ones_of_each_partition(world: World) -> None:
    for key in (b"a", b"b", b"c", b"d"):
        await world.publish([f"{n}".encode() for n in range(30)], key=key)
    tail: TailReader = world.admin  # type: ignore[assignment]
    partitions = [TopicPartition(world.topic, n) for n in range(4)]
    whole = [await read(world, one) for one in partitions]
    for offsets in (1, 7, 1_000):
        async with asyncio.timeout(DEADLINE_S):
            found = [one async for one in tail.read_last(partitions, offsets=offsets)]
        for partition, everything in zip(partitions, whole, strict=True):
            its = [one.value for one in found if one.topic_partition == partition]
            assert its == [value for *_, value in everything[-offsets:]]


async def test_a_topic_that_is_missing_keeps_nothing(world: World) -> None:
    hour = f"{world.topic}-hour"
    await world.admin.create_topics([NewTopic(name=hour, partitions=1, retention_ms=3_600_000)])
    topics = [world.topic, hour, f"none-{uuid.uuid4().hex}"]
    known = await reader_of(world).retention_ms(topics)
    assert known.keys() == {world.topic, hour}
    assert known[world.topic] == -1 or known[world.topic] > 0
    assert known[hour] == 3_600_000
    assert await reader_of(world).retention_ms([]) == {}
