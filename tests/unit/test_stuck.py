"""Which sagas are found to be stuck, why, and how far one looks; and what is gathered around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.adapters.memory.workers import MemoryWorkerRegistry
from sagas.core.definition import SAGA_PARKED, Direction, Role
from sagas.core.instance import Instance
from sagas.core.lifecycle import WorkerState
from sagas.core.timers import timers_of
from sagas.operating.errors import Misasked
from sagas.operating.explainer import Explainer, Where
from sagas.operating.explaining import Situation, StuckRules, Usual, Why
from sagas.operating.lookout import Lookout
from sagas.operating.stuck import StuckList, find_stuck
from sagas.ports import (
    BrokerUnavailable,
    NewTopic,
    OutgoingRecord,
    RowChange,
    Stamp,
    TableUnavailable,
)
from sagas.ports.workers import ErrorSeen, WorkerReport
from sagas.runtime.dead_letter_box import DeadLetterBox
from sagas.testing.clock import VirtualClock
from sagas.watching import topics_read
from sagas.wire.stored import encode_instance
from sagas.wire.topics import Topics
from tests.explained import DELIVERING, NOTIFIED, PAYING, PLACED, RESERVED, SHIPPING
from tests.recorded import NOON_MS, Telling, at, recorded

ORDER = OrderFulfilment.definition
TOPICS = Topics("shop")
SERVICES = ORDER.services
REFUSED: dict[float, Telling] = {
    0: PLACED,
    0.5: RESERVED,
    0.54: "payments.PaymentDeclined.v1",
    0.6: "inventory.StockReleased.v1",
    0.7: "orders.OrderCancelled.v1",
}


class World:
    """A table, a register and a broker in memory, at a moment of a virtual day."""

    def __init__(self) -> None:
        self.clock = VirtualClock(datetime.fromtimestamp(NOON_MS / 1000, UTC))
        self.table = MemorySagaTable()
        self.registry = MemoryWorkerRegistry(self.clock)
        self.broker = MemoryBroker(self.clock, auto_create=True)

    async def store(self, saga_id: str, events: dict[float, Telling]) -> None:
        instance: Instance = recorded(ORDER, events)._replace(saga_id=saga_id)
        times = [fact.at_ms for fact in instance.facts.values()]
        stored = await self.table.store(
            RowChange(
                saga=OrderFulfilment.name,
                saga_id=saga_id,
                expected=None,
                stamp=Stamp(1, 1),
                status=instance.status.value,
                state=encode_instance(instance),
                events={},
                at_ms=max(times),
                token=saga_id,
                timers_set=timers_of(instance),
            )
        )
        assert stored

    async def works(self, *names: str, error: str | None = None) -> None:
        for name in names:
            report = WorkerReport(
                id=f"{name}-1",
                service=name,
                started_at_ms=at(0),
                seen_at_ms=at(0),
                state=WorkerState.RUNNING,
                last_error=None if error is None else ErrorSeen(at_ms=at(1), words=error),
            )
            await self.registry.announce(report, ttl_ms=10**9)

    def move_to(self, seconds: float) -> None:
        self.clock.advance_to(at(seconds))

    async def stuck(self, *, limit: int = 20, look: int = 2_000, **rules: int) -> StuckList:
        return await find_stuck(
            self.lookout(), [OrderFulfilment], limit=limit, look=look, rules=StuckRules(**rules)
        )

    def explainer(self, **given: object) -> Explainer:
        where = Where("shop", "memory", 3_600_000)
        return Explainer(self.lookout(**given), [OrderFulfilment], where)

    def lookout(self, **given: object) -> Lookout:
        usual = {"registry": self.registry, "offsets": self.broker} | given
        return Lookout(
            self.table,
            topics=TOPICS,
            clock=self.clock,
            read=topics_read([OrderFulfilment], [], TOPICS),
            **usual,  # type: ignore[arg-type]
        )


@pytest.fixture
def world() -> World:
    return World()


def reasons(found: StuckList) -> list[tuple[str, Why, str | None]]:
    return [(one.listed.saga_id, one.reason.why, one.reason.step) for one in found.lines]


async def test_what_goes_its_way_is_not_stuck(world: World) -> None:
    await world.works(*SERVICES)
    await world.store("o-1", PAYING)
    await world.store("o-2", DELIVERING)
    world.move_to(20)
    found = await world.stuck()
    assert (found.lines, found.looked_at, found.unfinished) == ([], 2, 2)
    assert found.is_complete


async def test_a_service_without_workers_is_missed(world: World) -> None:
    await world.works("orders", "inventory", "shipping", "notifications")
    await world.store("o-1", PAYING)
    world.move_to(3)
    assert reasons(await world.stuck()) == []
    world.move_to(10)
    assert reasons(await world.stuck()) == [("o-1", Why.NO_WORKER, "authorize_payment")]


async def test_the_surest_and_oldest_first(world: World) -> None:
    await world.works(*SERVICES)
    await world.store("slow", {**SHIPPING, 170: NOTIFIED})
    await world.store("overdue", PAYING)
    await world.store(
        "parked", {**SHIPPING, 2: NOTIFIED, 3: (SAGA_PARKED, "capture_payment", Role.PARKED)}
    )
    await world.store(
        "parked earlier", {**SHIPPING, 2: (SAGA_PARKED, "capture_payment", Role.PARKED)}
    )
    await world.store(
        "ended", {0: PLACED, 1: "inventory.StockUnavailable.v1", 2: "orders.OrderCancelled.v1"}
    )
    world.move_to(200)
    found = await world.stuck()
    assert reasons(found) == [
        ("parked earlier", Why.PARKED, "capture_payment"),
        ("parked", Why.PARKED, "capture_payment"),
        ("overdue", Why.TIMER, "authorize_payment"),
        ("slow", Why.TIMER, "capture_payment"),
    ]
    assert found.by_why == {Why.PARKED: 2, Why.TIMER: 2}
    assert found.found == 4
    assert [one.listed.status for one in found.lines] == ["PARKED", "PARKED", "RUNNING", "RUNNING"]
    only = await world.stuck(limit=1)
    assert (len(only.lines), only.found) == (1, 4)


async def test_what_takes_longer_than_usual(world: World) -> None:
    await world.works(*SERVICES)
    for number in range(5):
        await world.store(f"e-{number}", REFUSED)
    await world.store("o-1", PAYING)
    world.move_to(25)
    assert reasons(await world.stuck()) == []
    assert reasons(await world.stuck(least_ms=1_000)) == [("o-1", Why.SLOW, "authorize_payment")]
    world.move_to(35)
    (line,) = (await world.stuck()).lines
    assert line.told.expects[0].usual == Usual(half_ms=40, most_ms=40, samples=5)
    assert line.reason.sentence.text(str) == (
        "authorize_payment has taken 34 s, and nineteen of twenty take no more than 40 ms."
    )


async def test_a_service_that_lags_is_named(world: World) -> None:
    await world.works(*SERVICES)
    await world.broker.create_topics([NewTopic(name="shop.inventory.events", partitions=2)])
    for number in range(3):
        await world.broker.publish(OutgoingRecord("shop.inventory.events", b"%d" % number, b"x"))
    await world.store("o-1", PAYING)
    world.move_to(40)
    (line,) = (await world.stuck(unknown_ms=1_000)).lines
    assert (line.reason.why, line.reason.service) == (Why.LAGGING, "payments")
    assert "3 messages wait for payments" in line.reason.sentence.text(str)


async def test_how_far_is_looked_is_bounded_and_told(world: World) -> None:
    await world.works(*SERVICES)
    for number in range(60):
        await world.store(
            f"w-{number:02}", {one + number / 100: two for one, two in DELIVERING.items()}
        )
    slow = {10 + one: two for one, two in DELIVERING.items() if two != NOTIFIED}
    await world.store("in the middle", slow)
    for number in range(60):
        later = {100 + one + number / 100: two for one, two in DELIVERING.items()}
        await world.store(f"x-{number:02}", later)
    world.move_to(23)
    found = await world.stuck(look=20, least_ms=1_000)
    assert reasons(found) == [("in the middle", Why.SLOW, "notify_customer")]
    world.move_to(130)
    found = await world.stuck(look=20)
    assert (found.unfinished, found.looked_at, found.is_complete) == (121, 21, False)
    assert reasons(found) == [("in the middle", Why.TIMER, "notify_customer")]  # its timer is due
    everything = await world.stuck(look=400)
    assert (everything.looked_at, everything.is_complete) == (121, True)


async def test_a_row_of_another_version_is_listed(world: World) -> None:
    await world.store("o-1", PAYING)
    await world.table.store(
        RowChange(
            saga=OrderFulfilment.name,
            saga_id="o-2",
            expected=None,
            stamp=Stamp(1, 1),
            status="RUNNING",
            state=b'["RUNNING",null,[],[],[["unheard.Of.v1",0,null]]]\n[null,["1"],[1],[]]',
            events={},
            at_ms=at(0),
            token="2",
        )
    )
    await world.works(*SERVICES)
    world.move_to(10)
    found = await world.stuck()
    assert reasons(found) == [("o-2", Why.UNREADABLE, None)]


async def test_servers_that_are_away_hinder_nobody(world: World) -> None:
    class Away:
        async def behind(self, groups: Mapping[str, Sequence[str]]) -> Mapping[str, object]:
            raise BrokerUnavailable("away")

        async def workers(self) -> Sequence[WorkerReport]:
            raise TableUnavailable("away")

    facts = await world.lookout(registry=Away(), offsets=Away()).services(["payments"])
    assert (facts["payments"].workers, facts["payments"].lag) == (None, None)
    facts = await world.lookout(registry=None, offsets=None).services(["payments"])
    assert (facts["payments"].workers, facts["payments"].lag) == (None, None)


async def test_who_works_is_told_with_their_last_error(world: World) -> None:
    await world.works("payments", error="OSError: no line")
    await world.store("o-1", PAYING)
    world.move_to(2)
    told = await world.explainer().explain("o-1")
    assert told.expects[0].service is not None
    assert told.expects[0].service.last_error == "OSError: no line"
    assert told.situation is Situation.WAITING


async def test_workers_that_are_not_well_are_told(world: World) -> None:
    await world.works("payments")
    (report,) = await world.registry.workers()
    sick = report.model_copy(update={"id": "2", "health": "backlog"})
    await world.registry.announce(sick, ttl_ms=10**9)
    facts = await world.lookout().services(["payments"])
    assert facts["payments"].states == {"running": 1, "backlog": 1}


async def test_an_ended_saga_asks_nobody(world: World) -> None:
    await world.store(
        "o-1", {0: PLACED, 1: "inventory.StockUnavailable.v1", 2: "orders.OrderCancelled.v1"}
    )
    told = await world.explainer(registry=None, offsets=None).explain("o-1")
    assert told.situation is Situation.COMPENSATED
    assert told.letters is None


async def test_a_later_run_of_the_same_key_is_told(world: World) -> None:
    await world.store(
        "o-1", {0: PLACED, 1: "inventory.StockUnavailable.v1", 2: "orders.OrderCancelled.v1"}
    )
    await world.store("o-1~2", PAYING)
    told = await world.explainer().explain("o-1")
    assert told.sentences[-1].text(str) == "Its key was used again: a later run is o-1~2."
    assert told.choices[-1].command == "sagas explain o-1~2"


async def test_dead_letters_of_a_saga_are_found(world: World) -> None:
    boxes = [
        DeadLetterBox(
            name, topics=TOPICS, broker=world.broker, admin=world.broker, clock=world.clock
        )
        for name in ("orders", "inventory")
    ]
    headers = {
        "ce_sagaid": "o-9",
        "ce_type": PLACED,
        "dlq-reason": "too old",
        "dlq-exception": "X",
        "dlq-service": "inventory",
        "dlq-topic": "shop.orders.events",
        "dlq-partition": "1",
        "dlq-offset": "7",
    }
    for box in boxes:
        await world.broker.create_topics([NewTopic(name=box.topic, partitions=1)])
    await world.broker.publish(
        OutgoingRecord(
            boxes[1].topic, b"o-9", b"{}", tuple((k, v.encode()) for k, v in headers.items())
        )
    )
    told = await world.explainer(boxes=boxes).explain("o-9")
    assert told.situation is Situation.NOT_FOUND
    assert told.letters is not None
    assert [one.id for one in told.letters] == ["shop.orders.events/1/7"]
    assert (await world.explainer(boxes=boxes).explain("o-8")).letters == ()


async def test_an_id_that_two_sagas_have_is_not_guessed(world: World) -> None:
    await world.store("o-1", PAYING)
    both = Explainer(
        world.lookout(), [OrderFulfilment, OrderFulfilment], Where("shop", "memory", None)
    )
    with pytest.raises(Misasked, match="is in several sagas: say --saga order-fulfilment"):
        await both.explain("o-1")


async def test_what_is_usual_is_remembered_for_a_while(world: World) -> None:
    lookout = world.lookout()
    assert await lookout.usual(OrderFulfilment) == {}
    for number in range(3):
        await world.store(f"o-{number}", PAYING)
    assert await lookout.usual(OrderFulfilment) == {}
    world.move_to(31)
    found = await lookout.usual(OrderFulfilment)
    assert found["reserve_stock", Direction.FORWARD].half_ms == 500
