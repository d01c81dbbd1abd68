"""Members of one group: they share the partitions, and hand over only what is drained."""

import asyncio

import pytest

from sagas.ports import BrokerUnavailable, Consumer, Record, TopicPartition
from tests.contract.broker.world import (
    DEADLINE_S,
    Listener,
    World,
    next_offsets,
    read,
    values,
)


async def test_two_members_share_the_partitions(world: World) -> None:
    listeners = [Listener(), Listener()]
    members = [await world.join(listener) for listener in listeners]
    await listeners[0].until(lambda: len(listeners[0].owned) == 2)
    await listeners[1].until(lambda: len(listeners[1].owned) == 2)
    assert not listeners[0].owned & listeners[1].owned

    sent = {b"%d" % number for number in range(40)}
    await world.publish(sent)
    got = await _read_all(members, len(sent))

    assert values(record for records in got for record in records) == sent
    for records, listener in zip(got, listeners, strict=True):
        assert {record.topic_partition for record in records} == listener.owned


async def test_who_joins_waits_until_the_others_have_drained(world: World) -> None:
    draining, may_finish = asyncio.Event(), asyncio.Event()

    async def drain(_: frozenset[TopicPartition]) -> None:
        draining.set()
        await may_finish.wait()

    first, second, third = Listener(), Listener(), Listener()
    await world.join(first)
    await world.join(second)
    await first.until(lambda: len(first.owned) == 2)
    first.drain = drain
    joining = asyncio.create_task(world.join(third))
    async with asyncio.timeout(DEADLINE_S):
        await draining.wait()
    await second.until(lambda: second.log[-1] == "drained")
    # Time to do it wrong; a broker that waits for the drain passes however slow it is.
    await asyncio.wait({joining}, timeout=1.5)
    assert third.log == []
    assert not joining.done()

    may_finish.set()
    await joining
    await first.until(lambda: bool(first.owned))
    await second.until(lambda: bool(second.owned))

    assert third.log == ["assigned"]
    assert first.log[-3:] == second.log[-3:] == ["revoked", "drained", "assigned"]
    assert sorted(len(listener.owned) for listener in (first, second, third)) == [1, 1, 2]
    assert len(first.owned | second.owned | third.owned) == 4


async def test_no_record_is_delivered_before_its_partition_is_assigned(world: World) -> None:
    await world.publish(b"%d" % number for number in range(200))
    strays: list[Record] = []
    seen: set[bytes] = set()
    every = {b"%d" % number for number in range(200)}

    async def pump(consumer: Consumer, listener: Listener) -> None:
        while seen != every:
            records = await consumer.poll(records_max=7, timeout_ms=50)
            strays.extend(r for r in records if r.topic_partition not in listener.owned)
            seen.update(values(records))

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as pumps:
        for _ in range(3):
            listener = Listener()
            pumps.create_task(pump(await world.join(listener), listener))

    assert strays == []


async def test_what_is_committed_while_draining_is_not_delivered_again(world: World) -> None:
    first = Listener()
    consumer = await world.join(first)
    await world.publish(b"%d" % number for number in range(40))
    records = await read(consumer, 40)

    async def drain(_: frozenset[TopicPartition]) -> None:
        await consumer.commit(next_offsets(records))

    first.drain = drain
    second = await world.join()
    await first.until(lambda: len(first.owned) == 2)

    await world.publish(b"new %d" % number for number in range(40))
    got = await _read_all([consumer, second], 40)
    assert values(r for some in got for r in some) == {b"new %d" % number for number in range(40)}


async def test_a_rebalance_starts_again_at_the_committed_offsets(world: World) -> None:
    first = Listener()
    consumer = await world.join(first)
    sent = {b"%d" % number for number in range(40)}
    await world.publish(sent)
    await read(consumer, 40)

    second = await world.join()
    await first.until(lambda: len(first.owned) == 2)

    got = await _read_all([consumer, second], 40)
    assert values(record for records in got for record in records) == sent


async def test_a_member_that_leaves_hands_over(world: World) -> None:
    first, second = Listener(), Listener()
    leaving = await world.join(first)
    staying = await world.join(second)
    await first.until(lambda: len(first.owned) == 2)
    calls = list(first.log)

    await leaving.stop()
    await second.until(lambda: len(second.owned) == 4)
    sent = {b"%d" % number for number in range(40)}
    await world.publish(sent)

    assert values(await read(staying, 40)) == sent
    assert first.log == calls, "a member that stops is not told"


async def test_committing_a_lost_partition_fails_and_changes_nothing(world: World) -> None:
    first, second = Listener(), Listener()
    consumer = await world.join(first)
    await world.publish(b"%d" % number for number in range(40))
    offsets = next_offsets(await read(consumer, 40))

    other = await world.join(second)
    await first.until(lambda: len(first.owned) == 2)
    with pytest.raises(BrokerUnavailable):
        await consumer.commit(offsets)
    await consumer.commit({partition: offsets[partition] for partition in first.owned})

    records = await read(other, sum(offsets[partition] for partition in second.owned))
    assert {record.topic_partition for record in records} == second.owned
    assert next_offsets(records) == {p: offsets[p] for p in second.owned}


async def test_a_member_that_stopped_cannot_commit(world: World) -> None:
    consumer = await world.join()
    await world.publish([b"a"])
    offsets = next_offsets(await read(consumer, 1))
    await consumer.stop()
    await consumer.stop()
    with pytest.raises(BrokerUnavailable):
        await consumer.commit(offsets)


async def test_a_rebalance_forgets_pauses(world: World) -> None:
    first = Listener()
    consumer = await world.join(first)
    consumer.pause(first.owned)
    other = await world.join()
    await first.until(lambda: len(first.owned) == 2)
    await other.stop()
    await first.until(lambda: len(first.owned) == 4)

    await world.publish([b"a", b"b", b"c", b"d"])
    assert values(await read(consumer, 4)) == {b"a", b"b", b"c", b"d"}


async def test_pausing_what_is_not_owned_does_nothing(world: World) -> None:
    consumer = await world.join()
    foreign = frozenset({TopicPartition(world.topic, 99)})
    consumer.pause(foreign)
    consumer.resume(foreign)
    await world.publish({b"still delivered"})
    (records,) = await _read_all([consumer], 1)
    assert values(records) == {b"still delivered"}


async def test_an_error_in_a_listener_stops_nobody(world: World) -> None:
    class Broken(Listener):
        def assigned(self, partitions: frozenset[TopicPartition]) -> None:
            super().assigned(partitions)
            raise RuntimeError("assigned")

        async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
            await super().revoked(partitions)
            raise RuntimeError("revoked")

    broken = Broken()
    members = [await world.join(broken), await world.join()]
    await broken.until(lambda: len(broken.owned) == 2)

    sent = {b"%d" % number for number in range(40)}
    await world.publish(sent)
    got = await _read_all(members, 40)
    assert values(record for records in got for record in records) == sent


async def _read_all(members: list[Consumer], count: int) -> list[list[Record]]:
    """Poll all members until they have that many records between them."""
    got: list[list[Record]] = [[] for _ in members]

    async def pump(member: Consumer, records: list[Record]) -> None:
        while sum(map(len, got)) < count:
            records.extend(await member.poll(records_max=100, timeout_ms=50))

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        for member, records in zip(members, got, strict=True):
            tasks.create_task(pump(member, records))
    return got


async def test_a_member_knows_how_far_behind_it_is(world: World) -> None:
    """Partitions that are paused included: nothing is fetched of those."""
    member = await world.join()
    await world.publish(b"%d" % number for number in range(8))
    async with asyncio.timeout(DEADLINE_S):
        assert sum((await member.behind()).values()) == 8
        (first,) = await read(member, 1)
        member.pause(frozenset({first.topic_partition}))
        before = await member.behind()
        await world.publish([b"more"] * 3, key=first.key)
        after = await member.behind()
    assert sum(before.values()) == 7
    assert after[first.topic_partition] == before[first.topic_partition] + 3
    assert {one.topic for one in after} == {world.topic}


async def test_who_is_no_member_is_not_behind(world: World) -> None:
    with pytest.raises(BrokerUnavailable):
        await world.member().behind()
