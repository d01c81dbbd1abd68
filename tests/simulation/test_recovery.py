"""What a worker does about loss, case by case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.context import StepContext
from sagas.core.errors import ContractViolation
from sagas.core.framework_events import WakeRequested
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.ports import BUCKETS, OutgoingRecord, Record, Row, TopicPartition
from sagas.restoring import Marker
from sagas.runtime import message_world
from tests.simulation.forgetful import ForgetfulTable
from tests.simulation.purchase import TOPICS, Paid, Placed, Purchase, World, depot, till
from tests.simulation.virtual import run

DAY_MS = 86_400_000


class CountedReader(MemoryBroker):
    """Counts how often topics are read."""

    reads = 0

    async def read_partitions(
        self, partitions: Collection[TopicPartition]
    ) -> AsyncIterator[Record]:
        self.reads += 1
        async for record in super().read_partitions(partitions):
            yield record


def world_of(**platform: Any) -> tuple[World, ForgetfulTable, CountedReader]:
    """A world whose services rebuild, its table, and what they read."""
    world = World()
    table, broker = ForgetfulTable(), CountedReader(world.clock, auto_create=True)
    world.table, world.broker = table, broker
    world.platform = replace(world.platform, table=table, broker=broker, reader=broker, **platform)
    world.client = world.client_of()
    return world, table, broker


async def bought(world: World, saga_id: str) -> None:
    await world.client.start(Placed(id=saga_id))
    assert await world.ends(saga_id) is SagaStatus.COMPLETED


async def publish_again(world: World, event_type: str, *, service: str) -> None:
    for record in list(world.broker.records(TOPICS.events(service))):
        if dict(record.headers)["ce_type"] == event_type.encode():
            await world.broker.publish(
                OutgoingRecord(record.topic, record.key, record.value, record.headers)
            )


def test_a_table_without_markers_is_rebuilt_at_the_first_call() -> None:
    """A first start in a namespace: the topics are empty, so that is done at once."""

    async def main() -> None:
        world, table, _ = world_of()
        table.wipe()
        with capture_logs() as logs:
            async with world.running(till(), depot()):
                await bought(world, "p")
        events = [entry["event"] for entry in logs]
        assert "table.lost" in events
        assert events.count("rebuild.finished") == 1, "by one of the two services"
        assert set(await table.markers("purchase")) == {Marker(1)}

    run(main())


def test_a_flushed_table_comes_back_under_a_new_generation() -> None:
    async def main() -> None:
        world, table, _ = world_of()
        async with world.running(till(), depot()):
            await bought(world, "p")
            before = await world.client.get(Purchase, "p")
            table.wipe()
            await world.until(lambda: table.is_ready("purchase"))
            after = await world.client.get(Purchase, "p")
            assert before is not None
            assert after is not None
            assert after.timeline == before.timeline
            assert (after.status, after.generation) == (SagaStatus.COMPLETED, 2)
            await bought(world, "q")
            view = await world.client.get(Purchase, "q")
            assert view is not None
            assert view.generation == 2
        last = world.broker.records(TOPICS.events("depot"))[-1]
        assert dict(last.headers)["ce_sagagen"] == b"2"

    run(main())


def test_whoever_has_not_ended_is_woken_before_the_table_is_ready() -> None:
    """Whoever dies in between leaves a table that is not ready: the next one wakes again."""

    async def main() -> None:
        world, table, _ = world_of()
        async with world.running(till(), depot()):
            await bought(world, "ended")
        async with world.running(till()):
            await world.client.start(Placed(id="open"))
            await world.until(lambda: ("purchase", "open") in table._rows)
            await world.until(lambda: len(world.broker.records(TOPICS.events("till"))) == 2)
        table.wipe()
        woken: list[bytes] = []
        publish = world.broker.publish

        async def watched(record: OutgoingRecord) -> None:
            if dict(record.headers)["ce_type"] == WakeRequested.event_type.encode():
                assert not table.is_ready("purchase")
                woken.append(record.key or b"")
            await publish(record)

        world.broker.publish = watched  # type: ignore[method-assign]
        async with world.running(till(), depot()):
            assert await world.ends("open") is SagaStatus.COMPLETED
        assert woken == [b"open"]

    run(main())


def test_a_row_that_nobody_can_read_comes_back_from_the_topics() -> None:
    """As an earlier version kept it, say: whoever rebuilds puts it back in today's form."""

    async def main() -> None:
        world, table, _ = world_of()
        load, damaged = table.load, True

        async def read(saga: str, saga_id: str, *, events: bool = False) -> Row | None:
            if damaged:
                raise ContractViolation("The row begins with 'v'.")
            return await load(saga, saga_id, events=events)

        async with world.running(till(), depot()):
            await bought(world, "p")
            before = await world.client.get(Purchase, "p")
            table.load = read  # type: ignore[method-assign]
            with capture_logs() as logs:
                table._markers.condemn()
                await world.until(lambda: table.is_ready("purchase"))
            damaged = False
            assert [one["unreadable"] for one in logs if one["event"] == "rebuild.finished"] == [1]
            after = await world.client.get(Purchase, "p")
        assert before is not None
        assert after is not None
        assert (after.timeline, after.status) == (before.timeline, before.status)

    run(main())


async def _known_to_be_lost(world: World, table: ForgetfulTable) -> None:
    """The row knows the start only; what followed is lost, and nobody noticed."""
    await bought(world, "p")
    table._rows, table._index, table._timers = table._before[1]
    view = await world.client.get(Purchase, "p")
    assert view is not None
    assert [entry.event for entry in view.timeline] == ["front.Placed.v1"]


def test_a_row_that_lacks_the_message_in_hand_is_put_back() -> None:
    async def main() -> None:
        world, table, _ = world_of()
        async with world.running(till(), depot()):
            await _known_to_be_lost(world, table)
            await publish_again(world, "till.Paid.v1", service="till")
            assert await world.ends("p") is SagaStatus.COMPLETED
            view = await world.client.get(Purchase, "p")
        assert view is not None
        assert len(view.timeline) == 3
        assert view.version > 1_000, "no stamp that was lost comes again"

    run(main())


def test_without_that_look_the_rest_of_the_saga_is_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(message_world, "lacks", lambda *_: False)
    with pytest.raises(AssertionError):
        test_a_row_that_lacks_the_message_in_hand_is_put_back()


def test_an_instance_without_a_row_is_put_back_from_its_start() -> None:
    async def main() -> None:
        world, table, _ = world_of()
        async with world.running(till(), depot()):
            await bought(world, "p")
            table._forget("purchase", "p")
            await publish_again(world, "till.Paid.v1", service="till")
            assert await world.ends("p") is SagaStatus.COMPLETED
        assert world.dead("depot") == []

    run(main())


def test_garbage_from_outside_does_not_make_workers_read_all_day() -> None:
    async def main() -> None:
        world, _, reader = world_of()
        async with world.running(depot()):
            await world.until(lambda: reader.reads == 0)
            for number in range(200):
                headers = {
                    "ce_id": f"g-{number}",
                    "ce_type": "till.Paid.v1",
                    "ce_saganame": "purchase",
                    "ce_sagaid": f"none-{number % 50}",
                }
                await world.broker.publish(
                    OutgoingRecord(
                        TOPICS.events("till"),
                        f"none-{number % 50}".encode(),
                        b'{"id": "none-%d"}' % (number % 50),
                        tuple((name, text.encode()) for name, text in headers.items()),
                    )
                )
            await world.until(lambda: len(world.dead("depot")) == 200)
        partitions = 4
        assert reader.reads <= 2 * partitions
        assert "nothing is known" in world.dead("depot")[0]["dlq-reason"]

    run(main())


def test_a_start_that_is_older_than_rows_are_kept_does_not_run_as_new() -> None:
    """Nor is it looked for: a backlog of old starts must not have topics read; nothing is to be parked."""

    async def main() -> None:
        world, table, reader = world_of(keep_ended_ms=DAY_MS)
        async with world.running(till()):
            await world.until(lambda: table.is_ready("purchase"))
        read = reader.reads
        await world.client.start(Placed(id="old"))
        await world.clock.sleep(DAY_MS / 1000 + 1)
        with capture_logs() as logs:
            async with world.running(till()):
                await world.until(lambda: len(world.dead("till")) == 1)
        assert reader.reads == read
        assert "saga.not_parked" not in {entry["event"] for entry in logs}
        assert "it may have run" in world.dead("till")[0]["dlq-reason"]
        assert table._rows == {}

    run(main())


class CountedTable(ForgetfulTable):
    """How often a row was asked for; the client, which looks for itself, has another table."""

    loads = 0

    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        self.loads += 1
        return await super().load(saga, saga_id, events=events)


def test_a_start_is_stored_without_a_look_whose_row_nobody_has_made() -> None:
    async def main() -> None:
        world, _, _ = world_of()
        table, looks = CountedTable(), []

        async def pay(placed: Placed, _context: StepContext) -> Paid:
            looks.append((placed.id, table.loads))
            return Paid(id=placed.id)

        world.platform = replace(world.platform, table=table)
        async with world.running(till(pay)):
            await world.until(lambda: table.is_ready("purchase"))
            table.loads = 0
            client = world.client_of(table=MemorySagaTable())
            await client.start(Placed(id="p"))
            await world.until(lambda: len(looks) == 1)
            await client.start(Placed(id="p"))  # once more: the row is there, and is looked at
            await world.until(lambda: table.loads > 0)
            await client.start(Placed(id="q"))
            await world.until(lambda: len(looks) == 2)
        assert looks == [("p", 0), ("q", 1)]

    run(main())


def test_what_has_ended_is_forgotten_in_time() -> None:
    async def main() -> None:
        world, table, _ = world_of(keep_ended_ms=DAY_MS)
        async with world.running(till(), depot()):
            await bought(world, "p")
        async with world.running(till()):
            await world.client.start(Placed(id="open"))
            await world.until(lambda: len(table._rows) == 2)
        await world.clock.sleep(DAY_MS / 1000 + 1)
        async with world.running(till()):
            await world.until(lambda: len(table._rows) == 1)
        assert list(table._rows) == [("purchase", "open")], "one that has not ended, never"

    run(main())


def test_two_at_once_rebuild_once() -> None:
    async def main() -> None:
        world, table, _ = world_of()
        async with world.running(till(), depot()):
            await bought(world, "p")
        table.wipe()
        with capture_logs() as logs:
            async with world.running(till(), till(), depot(), depot()):
                await world.until(lambda: table.is_ready("purchase"))
                await asyncio.sleep(20)
        assert [entry["event"] for entry in logs].count("rebuild.started") == 1
        assert len(await table.markers("purchase")) == BUCKETS

    run(main())


def test_the_saga_is_named_as_declared() -> None:
    saga: type[Saga] = Purchase
    assert saga.name == "purchase"
