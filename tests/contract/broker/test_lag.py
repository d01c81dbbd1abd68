"""How far groups are behind: the same on every broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sagas.ports import NewTopic, TopicPartition
from sagas.ports.workers import GroupOffsets
from tests.contract.broker.world import DEADLINE_S, World, next_offsets, read

VALUES = [f"{number}".encode() for number in range(20)]


async def behind(world: World, *groups: str) -> Mapping[str, Mapping[TopicPartition, int]]:
    offsets: GroupOffsets = world.admin  # type: ignore[assignment]
    async with asyncio.timeout(DEADLINE_S):
        return await offsets.behind({group: [world.topic] for group in groups})


async def test_a_group_that_nobody_knows_is_behind_from_the_beginning(world: World) -> None:
    await world.publish(VALUES)
    found = await behind(world, world.group)
    assert set(found[world.group]) == {TopicPartition(world.topic, number) for number in range(4)}
    assert sum(found[world.group].values()) == len(VALUES)


async def test_what_is_committed_is_behind_nobody(world: World) -> None:
    await world.publish(VALUES)
    consumer = await world.join()
    records = await read(consumer, len(VALUES))
    halfway = next_offsets(records[: len(records) // 2])
    await consumer.commit(halfway)
    found = await behind(world, world.group, f"{world.group}-other")
    assert sum(found[world.group].values()) == len(VALUES) - sum(halfway.values())
    assert sum(found[f"{world.group}-other"].values()) == len(VALUES)
    await consumer.commit(next_offsets(records))
    assert sum((await behind(world, world.group))[world.group].values()) == 0


async def test_a_partition_of_which_nothing_is_committed_counts_from_its_beginning(
    world: World,
) -> None:
    await world.publish(VALUES[:1], key=b"k")
    consumer = await world.join()
    (record,) = await read(consumer, 1)
    await consumer.commit(next_offsets([record]))
    await world.publish(VALUES)
    found = (await behind(world, world.group))[world.group]
    assert sum(found.values()) == len(VALUES)
    assert len([count for count in found.values() if count]) > 1


async def test_several_topics_and_one_that_is_missing(world: World) -> None:
    other = f"{world.topic}-other"
    await world.admin.create_topics([NewTopic(name=other, partitions=2)])
    await world.publish(VALUES)
    offsets: GroupOffsets = world.admin  # type: ignore[assignment]
    asked = {"one": [world.topic, f"{world.topic}-missing"], "two": [other], "three": []}
    async with asyncio.timeout(DEADLINE_S):
        found = await offsets.behind(asked)
    assert sum(found["one"].values()) == len(VALUES)
    assert found["two"] == {TopicPartition(other, 0): 0, TopicPartition(other, 1): 0}
    assert found["three"] == {}
