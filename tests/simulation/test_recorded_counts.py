"""Of two events for one place in a saga, what counts is the one that the table has recorded."""

from __future__ import annotations

from sagas import NOTHING, Event, Saga, Service, Start, Step, StepContext, Wait
from sagas.ports import OutgoingRecord
from sagas.runtime.assembly import ServiceRunner
from tests.simulation.purchase import TOPICS, World
from tests.simulation.virtual import run


class Asked(Event, type="front.Asked.v1"):
    id: str


class Answered(Event, type="front.Answered.v1"):
    id: str
    answer: str


class Booked(Event, type="till.Booked.v1"):
    id: str


class Booking(Saga):
    key = "id"
    start = Start(Asked, by="front", undone=NOTHING)
    wait = Wait(by="front", on=Asked, done=Answered)
    book = Step(by="till", on=Answered, done=Booked, undone=NOTHING)


def outside(type_: type[Event], id_: str, content: str) -> OutgoingRecord:
    headers = {
        "ce_id": id_,
        "ce_type": type_.event_type,
        "ce_saganame": "booking",
        "ce_sagaid": "1",
    }
    encoded = tuple((name, value.encode()) for name, value in headers.items())
    return OutgoingRecord(TOPICS.events("front"), b"1", content.encode(), encoded)


def test_a_step_acts_on_the_answer_that_is_recorded_not_on_the_one_in_hand() -> None:
    seen = []
    front, till = Service("front"), Service("till")
    front.completes(Booking.wait)

    @till.performs(Booking.book)
    async def book(answered: Answered, context: StepContext) -> Booked:
        seen.append(answered.answer)
        return Booked(id=answered.id)

    async def story() -> None:
        world = World()
        async with world.running(front):
            await world.broker.publish(outside(Asked, "start", '{"id": "1"}'))
            await world.broker.publish(outside(Answered, "a", '{"id": "1", "answer": "first"}'))
            await world.until(lambda: len(_facts(world)) > 1)
        await world.broker.publish(outside(Answered, "b", '{"id": "1", "answer": "second"}'))
        worker = ServiceRunner(till, world.platform)._worker(())
        second = world.broker.records(TOPICS.events("front"))[-1]
        interest = worker._subscription.interest(second)
        assert interest is not None
        await worker._dispatch.handle(second, interest)

    run(story())
    assert seen == ["first"]


def _facts(world: World) -> dict[str, bytes]:
    stored = world.table._rows.get(("booking", "1"))
    return {} if stored is None else stored.events
