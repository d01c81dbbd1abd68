"""What has ended keeps no payloads, and all that can be asked of it later still has its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sagas import Service
from sagas.adapters.clock import RandomIds
from sagas.adapters.memory.broker import MemoryBroker
from sagas.context import StepContext
from sagas.core.framework_events import AgainRequested
from sagas.core.instance import SagaStatus
from sagas.ports import OutgoingRecord, Record, Row, TableUnavailable, TopicPartition
from sagas.runtime.histories import Histories
from sagas.runtime.operator import Operator
from sagas.runtime.rebuild import Means, Rebuild
from sagas.runtime.restorer import Restorer
from sagas.runtime.verification import Verification
from sagas.runtime.waking import Waker
from tests.simulation.forgetful import ForgetfulTable
from tests.simulation.purchase import (
    TOPICS,
    Paid,
    Placed,
    Purchase,
    Shipped,
    Unshippable,
    World,
    depot,
    till,
)
from tests.simulation.virtual import run

UNSHIPPABLE = Unshippable.event_type


class Forgetful(ForgetfulTable):
    """Counts what it is told to forget, and may be away then."""

    away = False

    async def forget_events(self, saga: str, saga_id: str, slots: Any) -> None:
        if self.away:
            raise TableUnavailable("no answer")
        await super().forget_events(saga, saga_id, slots)


class Short(MemoryBroker):
    """Its topics may have lost what they held, to those who read them again."""

    lost: str = ""
    looks = 0

    async def read_partitions(
        self, partitions: Collection[TopicPartition]
    ) -> AsyncIterator[Record]:
        self.looks += 1
        await asyncio.sleep(0.1)
        async for record in super().read_partitions(partitions):
            if record.topic != self.lost:
                yield record


def world_of() -> tuple[World, Forgetful]:
    """A world whose services read the topics where their rows know no more."""
    world = World()
    table, broker = Forgetful(), Short(world.clock, auto_create=True)
    world.table, world.broker = table, broker
    world.platform = replace(world.platform, table=table, broker=broker, reader=broker)
    world.client = world.client_of()
    return world, table


def closed() -> Service:
    """A depot that ships nothing."""
    service = Service("depot")

    @service.performs(Purchase.ship)
    async def ship(payment: Paid, context: StepContext) -> Shipped | Unshippable:
        return Unshippable(id=payment.id)

    return service


async def ended(world: World, saga_id: str = "p") -> SagaStatus:
    await world.client.start(Placed(id=saga_id))
    return await world.ends(saga_id)


async def row_of(table: Forgetful, saga_id: str = "p") -> Row:
    row = await table.load("purchase", saga_id, events=True)
    assert row is not None
    return row


def kept(table: Forgetful, saga_id: str = "p") -> set[str]:
    return set(table._rows["purchase", saga_id].events)


def means_of(world: World, table: Forgetful) -> Means:
    broker = world.broker
    return Means(
        saga=Purchase,
        histories=Histories(Purchase, [Purchase], topics=TOPICS, reader=broker),
        table=table,
        waker=Waker(topics=TOPICS, broker=broker, clock=world.clock),
        clock=world.clock,
        ids=RandomIds(),
    )


def _lose(world: World, service: str) -> None:
    """The service's topic has lost all that it held."""
    assert isinstance(world.broker, Short)
    world.broker.lost = TOPICS.events(service)


def test_what_has_ended_keeps_no_payload_and_shows_its_way() -> None:
    async def main() -> None:
        world, table = world_of()
        async with world.running(till(), depot()):
            assert await ended(world) is SagaStatus.COMPLETED
            await world.until(lambda: not kept(table))
        view = await world.client.get(Purchase, "p")
        assert view is not None
        assert [(one.event, one.service, one.payload) for one in view.timeline] == [
            ("front.Placed.v1", "front", None),
            ("till.Paid.v1", "till", None),
            ("depot.Shipped.v1", "depot", None),
        ]
        assert [one.since_cause_ms is None for one in view.timeline] == [True, False, False]
        assert (view.status, view.reason) == (SagaStatus.COMPLETED, None)

    run(main())


def test_a_saga_under_way_keeps_what_it_may_need() -> None:
    async def main() -> None:
        world, table = world_of()
        async with world.running(till()):
            await world.client.start(Placed(id="p"))
            await world.until(lambda: len(world.broker.records(TOPICS.events("till"))) == 1)
        assert kept(table) == {"front.Placed.v1", "till.Paid.v1"}

    run(main())


def test_what_turned_a_saga_back_stays_to_be_told() -> None:
    async def main() -> None:
        world, table = world_of()
        async with world.running(till(), closed()):
            assert await ended(world) is SagaStatus.COMPENSATED
            await world.until(lambda: kept(table) == {UNSHIPPABLE})
        view = await world.client.get(Purchase, "p")
        assert view is not None
        assert view.reason == UNSHIPPABLE + ' {"id":"p"}'

    run(main())


def test_without_a_reader_of_topics_nothing_is_dropped() -> None:
    async def main() -> None:
        world = World()
        async with world.running(till(), depot()):
            assert await ended(world) is SagaStatus.COMPLETED
        assert len(world.table._rows["purchase", "p"].events) == 3

    run(main())


def test_a_table_that_is_away_keeps_them_and_nobody_waits() -> None:
    async def main() -> None:
        world, table = world_of()
        table.away = True
        with capture_logs() as logs:
            async with world.running(till(), depot()):
                assert await ended(world) is SagaStatus.COMPLETED
        assert len(kept(table)) == 3
        said = [entry for entry in logs if entry["event"] == "events.kept"]
        assert said
        assert {entry["log_level"] for entry in said} == {"debug"}

    run(main())


def test_the_same_start_finds_the_run_that_has_ended() -> None:
    async def main() -> None:
        world, table = world_of()
        async with world.running(till(), depot()):
            await ended(world)
            await world.until(lambda: not kept(table))
            assert await world.client.start(Placed(id="p")) == "p"
            other = b'{ "id": "p", "unknown": 1 }'
            record = OutgoingRecord(TOPICS.events("front"), b"p", other, (("ce_id", b"another"),))
            await world.broker.publish(record)
            await ended(world, "after it")
        assert world.dead("till") == world.dead("depot") == []
        assert len(world.broker.records(TOPICS.events("front"))) == 3

    run(main())


@pytest.mark.parametrize("lost", ["everything", "the row", "the last writes"])
def test_what_is_put_back_is_as_small_and_says_the_same(lost: str) -> None:
    async def main() -> None:
        world, table = world_of()
        async with world.running(till(), depot()):
            await ended(world)
            await world.until(lambda: not kept(table))
            before, content = await world.client.get(Purchase, "p"), (await row_of(table)).content
            if lost == "everything":
                table.wipe()
            elif lost == "the row":
                table._forget("purchase", "p")
                table._markers.condemn()
            else:
                table.lose_last(3)
            await world.until(lambda: table.is_ready("purchase"))
            after = await world.client.get(Purchase, "p")
        assert before is not None
        assert after is not None
        assert (after.timeline, after.status) == (before.timeline, before.status)
        row = await row_of(table)
        assert (dict(row.events), row.content) == ({}, content)
        assert len(content) == 16

    run(main())


@pytest.mark.parametrize("service", ["till", "front", "depot"])
def test_a_rebuild_believes_the_row_where_the_topics_have_lost_what_it_dropped(
    service: str,
) -> None:
    async def main() -> None:
        world, table = world_of()
        async with world.running(till(), depot()):
            await ended(world)
            await world.until(lambda: not kept(table))
        before, row = await world.client.get(Purchase, "p"), await row_of(table)
        _lose(world, service)
        for _ in range(2):
            assert await Rebuild(means_of(world, table)).run(range(64)) is not None
        after, again = await world.client.get(Purchase, "p"), await row_of(table)
        assert before is not None
        assert after is not None
        assert (after.timeline, after.status) == (before.timeline, before.status)
        assert (dict(again.events), again.content) == ({}, row.content)

    run(main())


def test_a_trimmed_row_is_no_difference_and_a_wrong_one_is() -> None:
    async def differences(world: World, table: Forgetful) -> list[str]:
        verification = Verification(means_of(world, table))
        return [str(one.kind) async for one in verification.differences()]

    async def main() -> None:
        world, table = world_of()
        async with world.running(till(), depot()):
            await ended(world)
            await world.until(lambda: not kept(table))
        assert await differences(world, table) == []
        _lose(world, "depot")
        assert await differences(world, table) == ["event not justified"]

    run(main())


async def _again(world: World, then: Callable[[], bool]) -> None:
    operator = Operator(
        topics=TOPICS,
        broker=world.broker,
        table=world.table,
        clock=world.clock,
        ids=RandomIds(),
    )
    await operator.ask("purchase", "p", AgainRequested(step="pay", epoch=1, by="ann", why="bug"))
    await world.until(then)


def test_a_compensation_once_more_gets_its_events_from_the_topics() -> None:
    async def main() -> None:
        world, table = world_of()
        refunds: list[Paid | None] = []
        async with world.running(till(refunds=refunds), closed()):
            assert await ended(world) is SagaStatus.COMPENSATED
            await world.until(lambda: kept(table) == {UNSHIPPABLE})
            await _again(world, lambda: len(refunds) == 2)
            await world.until(lambda: kept(table) == {UNSHIPPABLE, "sagas.UndoAgain.v1/pay@1"})
        assert refunds == [Paid(id="p"), Paid(id="p")]

    run(main())


def test_what_the_topics_have_no_more_is_said_in_words() -> None:
    async def main() -> None:
        world, table = world_of()
        refunds: list[Paid | None] = []
        async with world.running(till(refunds=refunds), closed()):
            await ended(world)
            await world.until(lambda: kept(table) == {UNSHIPPABLE})
            _lose(world, "till")
            await _again(world, lambda: bool(world.dead("till")))
        assert refunds == [Paid(id="p")]
        letter, *_ = world.dead("till")
        assert "till.Paid.v1 of purchase 'p', which the handler needs" in letter["dlq-reason"]
        assert "do by hand what its handler would have done" in letter["dlq-reason"]

    run(main())


def test_those_that_ask_meanwhile_share_the_next_look() -> None:
    async def main() -> None:
        world, table = world_of()
        ids = [f"p{number}" for number in range(5)]
        async with world.running(till(), depot()):
            for saga_id in ids:
                await ended(world, saga_id)
        restorer, broker = Restorer(means_of(world, table)), world.broker
        assert isinstance(broker, Short)
        broker.looks = 0
        alone = await restorer.found("p0", None)
        looks = broker.looks
        found = await asyncio.gather(*(restorer.found(saga_id, None) for saga_id in ids))
        assert broker.looks == 3 * looks, "the first one looks for itself, then one for all others"
        assert found[0] == alone
        assert [sorted(one.fact.type for one in events.values()) for events in found] == [
            ["depot.Shipped.v1", "front.Placed.v1", "till.Paid.v1"]
        ] * 5
        assert await restorer.found("nobody", None) == {}

    run(main())
