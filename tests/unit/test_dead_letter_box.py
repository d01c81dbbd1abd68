"""The box of dead letters: one letter for one record, open until it is replayed or discarded."""

from __future__ import annotations

import pytest

from sagas.adapters.clock import SystemClock
from sagas.adapters.memory.broker import MemoryBroker
from sagas.core.errors import InvalidMessage
from sagas.ports import MessageTooLarge, OutgoingRecord, Record
from sagas.runtime.dead_letter_box import DeadLetterBox, How, NotReplayable, fold
from sagas.runtime.dead_letters import DeadLetters
from sagas.runtime.patience import Patience
from sagas.wire.headers import Headers
from sagas.wire.topics import Topics

TOPICS = Topics("shop")
EVENTS = TOPICS.events("orders")
HEADERS: Headers = (("ce_sagaid", b"o1"), ("twice", b"a"), ("twice", b"\xff"))


class World:
    def __init__(self, record_max_bytes: int = 1_048_576) -> None:
        self.broker = MemoryBroker(
            SystemClock(), auto_create=True, record_max_bytes=record_max_bytes
        )
        self.writing = self._writing("payments")
        self.box = self._box("payments")

    def _writing(self, service: str) -> DeadLetters:
        clock = SystemClock()
        return DeadLetters(
            service, topics=TOPICS, broker=self.broker, clock=clock, patience=Patience(clock)
        )

    def _box(self, service: str) -> DeadLetterBox:
        return DeadLetterBox(
            service, topics=TOPICS, broker=self.broker, admin=self.broker, clock=SystemClock()
        )

    async def outside(
        self, value: bytes | None, headers: Headers = HEADERS, key: bytes | None = b"o1"
    ) -> Record:
        """A record of the events' topic."""
        await self.broker.publish(OutgoingRecord(EVENTS, key, value, headers))
        return self.broker.records(EVENTS)[-1]

    async def dead(
        self, value: bytes | None, headers: Headers = HEADERS, key: bytes | None = b"o1"
    ) -> Record:
        record = await self.outside(value, headers, key)
        await self.writing.add(record, InvalidMessage("no good"))
        return record


async def test_a_letter_says_where_and_why() -> None:
    world = World()
    record = await world.dead(b"{")
    (letter,) = await world.box.letters()
    assert letter.id == f"{EVENTS}/{record.partition}/{record.offset}"
    assert (letter.service, letter.reason, letter.exception) == (
        "payments",
        "no good",
        "InvalidMessage",
    )
    assert (letter.key, letter.value, letter.headers) == (b"o1", b"{", HEADERS)
    assert letter.saga_id == "o1"
    assert letter.resolution is None


async def test_a_letter_written_twice_is_one() -> None:
    world = World()
    record = await world.dead(b"{")
    await world.writing.add(record, InvalidMessage("no good"))
    await world.dead(b"[")
    assert [letter.value for letter in await world.box.letters()] == [b"[", b"{"]


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"o1", b"\x00\xff"), (b"o1", b""), (b"o1", None), (b"", b"{"), (b"", None), (None, b"{")],
)
async def test_a_replay_publishes_the_bytes_as_they_were(
    key: bytes | None, value: bytes | None
) -> None:
    world = World()
    record = await world.dead(value, key=key)
    (letter,) = await world.box.letters()
    await world.box.replay(letter, by="ann", why="mended")
    again = world.broker.records(EVENTS)[-1]
    assert again.offset != record.offset or again.partition != record.partition
    assert (again.key, again.value, again.headers) == (record.key, record.value, record.headers)
    assert await world.box.letters() == []
    (resolved,) = await world.box.letters(include_resolved=True)
    assert resolved.resolution is not None
    assert (resolved.resolution.how, resolved.resolution.by) == (How.REPLAYED, "ann")
    assert resolved.resolution.why == "mended"


async def test_headers_of_an_outside_record_do_not_resolve_or_get_lost() -> None:
    """What looks like ours, and is the producer's own."""
    world = World()
    own: Headers = (
        ("dlq-resolved", b"discarded"),
        ("dlq-reason", b"elsewhere"),
        ("dlq-topic", b"elsewhere"),
    )
    await world.dead(b"{", own)
    (letter,) = await world.box.letters()
    assert letter.reason == "no good"
    assert letter.headers == own


async def test_a_letter_is_discarded_and_stays_so_when_it_is_written_again() -> None:
    world = World()
    record = await world.dead(b"{")
    (letter,) = await world.box.letters()
    await world.box.discard(letter, by="ann", why="a test")
    await world.writing.add(record, InvalidMessage("no good"))
    assert await world.box.letters() == []
    assert len(world.broker.records(EVENTS)) == 1


async def test_a_replayed_record_that_fails_again_is_another_letter() -> None:
    world = World()
    await world.dead(b"{")
    (first,) = await world.box.letters()
    await world.box.replay(first, by="ann", why="perhaps")
    await world.writing.add(world.broker.records(EVENTS)[-1], InvalidMessage("still no good"))
    (second,) = await world.box.letters()
    assert second.id != first.id


async def test_the_order_of_records_does_not_matter_and_the_first_resolution_counts() -> None:
    world = World()
    await world.dead(b"{")
    (letter,) = await world.box.letters()
    await world.box.replay(letter, by="ann", why="first")
    await world.box.discard(letter, by="bob", why="second")
    records = list(world.broker.records(world.box.topic))
    (forth,), (back,) = fold(records), fold(records[::-1])
    assert forth.resolution is not None
    assert back.resolution is not None
    assert {forth.resolution.time_ms, back.resolution.time_ms} == {forth.resolution.time_ms}
    assert forth.resolution.by == "ann"


async def test_a_letter_without_its_record_is_not_replayed() -> None:
    world = World(record_max_bytes=1_000)
    record = await world.outside(b"x" * 700)
    with pytest.raises(MessageTooLarge):
        await world.broker.publish(OutgoingRecord(EVENTS, b"o1", b"x" * 1_000))
    await world.writing.add(record, InvalidMessage("no good"))
    (letter,) = await world.box.letters()
    assert letter.omitted
    with pytest.raises(NotReplayable, match="does not hold it"):
        await world.box.replay(letter, by="ann", why="perhaps")
    assert len(world.broker.records(EVENTS)) == 1
    await world.box.discard(letter, by="ann", why="sent by hand")
    assert await world.box.letters() == []


async def test_what_somebody_else_wrote_is_passed_over() -> None:
    world = World()
    for headers in (
        (),
        (("dlq-reason", b"no place"),),
        (
            ("dlq-resolved", b"eaten"),
            ("dlq-topic", b"t"),
            ("dlq-partition", b"0"),
            ("dlq-offset", b"1"),
        ),
        (("dlq-reason", b"r"), ("dlq-topic", b"t"), ("dlq-partition", b"-1"), ("dlq-offset", b"1")),
    ):
        await world.broker.publish(OutgoingRecord(world.box.topic, b"k", b"v", headers))
    assert await world.box.letters(include_resolved=True) == []
