"""Whole workers in virtual time, fed with hundreds of bad records between good ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from sagas.core.errors import InvalidMessage
from sagas.core.instance import SagaStatus
from sagas.ports import NewTopic, OutgoingRecord, Record, Timer
from sagas.runtime.incoming import decode_incoming
from sagas.runtime.subscription import Subscription
from sagas.runtime.timers import Timers
from sagas.wire.envelope import decode_headers
from sagas.wire.headers import Headers
from tests.fuzz import generators
from tests.simulation.purchase import TOPICS, Placed, Purchase, World, depot, till
from tests.simulation.virtual import run

GOOD = {
    "ce_type": b"front.Placed.v1",
    "ce_saganame": b"purchase",
    "ce_sagaid": b"o1",
    "ce_id": b"e-1",
}
TYPES = (*Purchase.events, "sagas.SkipRequested.v1", "sagas.TimerFired.v1", "front.Lost.v1")
CHANGES: tuple[dict[str, bytes], ...] = (
    {},
    *({"ce_type": type_.encode()} for type_ in TYPES),
    *({name: b"\xff\xfe"} for name in GOOD),
    *({name: b"x" * 5_000} for name in GOOD),
    *({name: b"a\x1b[2J\nb"} for name in GOOD),
    {"ce_saganame": b"another"},
    {"ce_time": b"yesterday"},
    {"ce_sagaseq": b"9" * 30},
    {"ce_deadline": b"99999-01-01T00:00:00Z"},
    {f"h{n}": b"v" for n in range(500)},
)


def poison() -> Iterator[OutgoingRecord]:
    topics = (TOPICS.events("front"), TOPICS.events("till"), TOPICS.control("purchase"))
    for n, (body, change) in enumerate(product(generators.RAW, CHANGES)):
        headers: Headers = tuple((GOOD | change).items())
        key = (b"o1", b"\xff", b"k" * 100_000)[n % 3]
        yield OutgoingRecord(topics[n % 3], key, body.replace(b"order_id", b"id"), headers)


def refused(subscription: Subscription, record: Record) -> bool:
    """Whether the service can not even read the record."""
    try:
        interest = subscription.interest(record)
        if interest is not None and interest.saga is not None:
            envelope = decode_headers(
                record.headers, record.value or b"", time_ms=record.timestamp_ms
            )
            decode_incoming(envelope, interest.saga, interest.event_type)
    except InvalidMessage:
        return True
    return False


def test_hundreds_of_bad_records_hold_nobody_up() -> None:
    good = [str(n) for n in range(60)]

    async def story() -> tuple[World, list[SagaStatus], int]:
        world, published = World(), 0
        async with world.running(till(), depot()):
            for n, record in enumerate(poison()):
                await world.broker.publish(record)
                published += 1
                if n % 8 == 0 and n // 8 < len(good):
                    await world.client.start(Placed(id=good[n // 8]))
            return world, [await world.ends(saga_id) for saga_id in good], published

    world, ends, published = run(story())
    assert published > 400
    assert set(ends) == {SagaStatus.COMPLETED}
    for service in (till(), depot()):
        subscription = Subscription(service, TOPICS)
        records = [r for topic in subscription.topics for r in world.broker.records(topic)]
        dead = world.dead(service.name)
        places = [
            (one["dlq-topic"], int(one["dlq-partition"]), int(one["dlq-offset"])) for one in dead
        ]
        unreadable = {(r.topic, r.partition, r.offset) for r in records if refused(subscription, r)}
        assert len(unreadable) > 100
        assert len(places) == len(set(places))
        assert unreadable <= set(places)
        others = {one["dlq-exception"] for one in dead} - {"InvalidMessage"}
        assert others <= {"UnknownInstance"}
        assert all(
            len(one["dlq-reason"]) <= 1_000 and one["dlq-reason"].isprintable() for one in dead
        )
        committed = world.broker._groups[TOPICS.group(service.name)].committed
        for topic in subscription.topics:
            for partition in world.broker._topic(topic).partitions:
                assert committed.get(partition.id, 0) == len(partition.log)


DAMAGED = {
    "nothing": b"",
    "no state": b"{}",
    "half of it": b'["RUNNING", null, [], [], null, [["front.Pla',
    "another status": b'["DANCING", null, [], [], null, []]',
    "a time that is text": b'["RUNNING",null,[],[],null,[["front.Placed.v1","e",null,"x",1]]]',
    "a parking that is not there": b'["RUNNING",null,[],["sagas.SagaParked.v1"],null,[]]',
    "a step that is not there": b'["RUNNING",null,["dance"],[],null,[]]',
    "an endless deadline": b'["RUNNING",null,[],[],' + b"9" * 400 + b",[]]",
    "no UTF-8": b"\xff\xfe",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_row_costs_its_own_saga_and_no_other(name: str) -> None:
    async def story() -> tuple[list[dict[str, str]], SagaStatus]:
        world = World()
        async with world.running(till()):
            await world.client.start(Placed(id="1"))
            await world.until(lambda: bool(world.broker.records(TOPICS.events("till"))))
        row = world.table._rows["purchase", "1"]
        row.state = DAMAGED[name]
        assert row.stamp is not None
        async with world.running(till(), depot()):
            await world.client.start(Placed(id="2"))
            ended = await world.ends("2")
            await world.until(lambda: bool(world.dead("depot")))
            return world.dead("depot"), ended

    dead, other = run(story())
    assert other is SagaStatus.COMPLETED
    (letter,) = dead
    assert letter["dlq-exception"] == "ContractViolation"
    assert "'1'" in letter["dlq-reason"]
    assert "damaged" in letter["dlq-reason"]


def test_a_timer_whose_topic_is_gone_keeps_no_other_from_being_published() -> None:
    async def story() -> tuple[int, int, list[Timer]]:
        world = World()
        world.broker._auto_create = False
        await world.broker.create_topics([NewTopic(name=TOPICS.control("purchase"), partitions=1)])
        for saga in ("gone", "purchase", "no topic at all"):
            world.table._timers[0][saga] = Timer(saga, "1", "pay", 5)
        timers = Timers(topics=TOPICS, broker=world.broker, table=world.table, clock=world.clock)
        due = await timers.publish_due()
        left = await world.table.list_timers("gone", limit=9)
        return due, len(world.broker.records(TOPICS.control("purchase"))), list(left)

    due, published, left = run(story())
    assert (due, published) == (3, 1)
    assert [timer.saga for timer in left] == ["gone"]
