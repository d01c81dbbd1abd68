"""What retry topics are made of: names, retention, notes, and what a message that waited asks for."""

from __future__ import annotations

import pytest

from sagas import NOTHING, Event, EventContext, Saga, Service, Start, Step, Wait
from sagas.application import SagaSettings, topics_of
from sagas.core.definition import Role
from sagas.core.enabled import must_store, unproven
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.wire.notes import attempt_note
from sagas.wire.topics import Topics
from tests.trips import Booked, Cancelled, Insured, Placed, Trip, Unbooked


def test_participants_have_retry_topics_that_keep_longer_than_anything_waits() -> None:
    watching = Service("watching")

    @watching.observes(Placed)
    async def see(placed: Placed, context: EventContext) -> None: ...

    settings = SagaSettings(namespace="shop", partitions=3)
    topics = {topic.name: topic for topic in topics_of([Trip], [watching], settings)}
    tiers = [name for name in topics if ".retry." in name]
    assert sorted(tiers) == sorted(
        f"shop.{service}.retry.{tier}"
        for service in ("desk", "hotel", "bank")
        for tier in ("10s", "1m", "10m", "1h")
    )
    assert {topics[name].partitions for name in tiers} == {3}
    assert {topics[name].retention_ms for name in tiers} == {7 * 24 * 3_600_000}
    assert "shop.watching.dlq" in topics


@pytest.mark.parametrize(
    ("delay_ms", "name"),
    [(200, "200ms"), (1_500, "1500ms"), (10_000, "10s"), (90_000, "90s"), (60_000, "1m")],
)
def test_retry_topics_are_named_after_their_delay(delay_ms: int, name: str) -> None:
    assert Topics("shop").retry("hotel", delay_ms) == f"shop.hotel.retry.{name}"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '["a",0,0,"",0,0]', "null", "7"])
def test_a_note_that_can_not_be_read_counts_as_none(text: str) -> None:
    assert attempt_note({"n": text}, "n") is None


def test_what_was_decided_with_the_answer_to_a_wait_is_asked_for_until_somebody_had_it() -> None:
    """Found at 1 of 41,000 seeds: the answer to a wait had performed the step before that wait."""
    definition = SlowTrip.definition
    facts = [
        Fact("p", Placed.event_type, "start", Role.DONE, published=True),
        Fact("c", Confirmed.event_type, "confirm", Role.DONE, published=True),
        Fact("b", Booked.event_type, "book", Role.DONE, cause="c"),
    ]
    instance = Instance(definition, "t-1", facts={fact.slot: fact for fact in facts})
    told = list(unproven(instance, "hotel", facts[1]))
    assert [fact.id for fact in told] == ["b"]
    marked = evolve(instance, facts[2]._replace(published=True))
    assert must_store(instance, marked, facts[2], "hotel")
    assert list(unproven(marked, "hotel", facts[1])) == []


class Confirmed(Event, type="desk.Confirmed.v1"):
    id: str


class SlowTrip(Saga):
    key = "id"
    start = Start(Placed, by="desk", undone=Cancelled)
    book = Step(by="hotel", on=Placed, done=Booked, undone=Unbooked)
    confirm = Wait(by="desk", on=Booked, done=Confirmed)
    insure = Step(by="hotel", on=Confirmed, done=Insured, undone=NOTHING)
