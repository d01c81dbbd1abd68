"""Where a rebuild meets keys that are used again, compensations run once more, and forgotten runs."""

from __future__ import annotations

from sagas.context import StepContext
from sagas.core.definition import START, Role
from sagas.core.framework_events import AgainRequested, UndoAgain, WakeRequested
from sagas.core.instance import Fact, SagaStatus
from sagas.core.refold import Found, refold
from sagas.ports import OutgoingRecord
from sagas.runtime.operator import request_record
from sagas.service import Service
from sagas.wire.ids import mark_of
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
from tests.simulation.test_recovery import DAY_MS, bought, world_of
from tests.simulation.virtual import run

DEFINITION = Purchase.definition


def start(id_: str, *, seq: int = 0) -> Found:
    fact = Fact(id_, Placed.event_type, START, Role.DONE, published=True)
    return Found(fact, int(seq > 0), seq, mark_of(id_), stored=id_.encode())


def paid(*, cause: str) -> Found:
    fact = Fact("paid", Paid.event_type, "pay", Role.DONE, cause, published=True)
    return Found(fact, 1, 2, mark_of("paid"))


def test_a_later_run_that_nobody_has_let_begin_is_not_begun_by_a_rebuild() -> None:
    assert refold(DEFINITION, "p~2", [start("asked")]) is None


def test_a_later_run_that_was_let_begin_is_folded_by_whichever_copy_is_read_first() -> None:
    request, accepted = start("same"), start("same", seq=1)
    for found in ([request, accepted], [accepted, request]):
        refolded = refold(DEFINITION, "p~2", found)
        assert refolded is not None
        assert list(refolded.instance.facts) == [Placed.event_type]


def test_a_later_run_has_the_start_that_its_host_let_begin() -> None:
    refolded = refold(DEFINITION, "p~2", [start("refused"), start("accepted", seq=1)])
    assert refolded is not None
    assert refolded.events == {Placed.event_type: b"accepted"}


def test_of_several_starts_the_one_counts_on_which_others_acted() -> None:
    found = [start("refused"), start("accepted"), paid(cause="accepted")]
    refolded = refold(DEFINITION, "p", found)
    assert refolded is not None
    assert refolded.events[Placed.event_type] == b"accepted"


def test_what_a_forgotten_saga_left_on_the_topics_is_not_taken_for_the_one_that_has_its_key_now() -> (
    None
):
    """Its events have the same ids, and the topics keep records longer than they say."""

    async def main() -> None:
        world, table, _ = world_of(keep_ended_ms=DAY_MS)
        shipped: list[str] = []
        async with world.running(till(), depot()):
            await bought(world, "p")
        await world.clock.sleep(DAY_MS / 1000 + 1)
        async with world.running(till()):
            await world.until(lambda: table._rows == {})
            await world.client.start(Placed(id="p"))
            await world.until(lambda: len(world.broker.records(TOPICS.events("till"))) == 2)
        table.wipe()
        async with world.running(till(), _busy(shipped)):
            assert await world.ends("p") is SagaStatus.COMPLETED
        assert shipped == ["p"]

    run(main())


def _busy(shipped: list[str]) -> Service:
    service = Service("depot")

    @service.performs(Purchase.ship)
    async def ship(payment: Paid, context: StepContext) -> Shipped | Unshippable:
        shipped.append(payment.id)
        return Shipped(id=payment.id)

    return service


def test_whoever_owes_a_compensation_once_more_is_woken_after_the_end_too() -> None:
    async def main() -> None:
        world, table, _ = world_of()
        refunds: list[Paid | None] = []
        async with world.running(till(refunds=refunds), _refusing()):
            await world.client.start(Placed(id="p"))
            assert await world.ends("p") is SagaStatus.COMPENSATED
        async with world.running(_refusing()):
            await _asked_again(world, "p")
        table.wipe()
        woken: list[bytes] = []
        publish = world.broker.publish

        async def watched(record: OutgoingRecord) -> None:
            if dict(record.headers)["ce_type"] == WakeRequested.event_type.encode():
                woken.append(record.key or b"")
            await publish(record)

        world.broker.publish = watched  # type: ignore[method-assign]
        async with world.running(till(refunds=refunds), _refusing()):
            await world.until(lambda: len(refunds) == 2)
            await world.until(lambda: table.is_ready("purchase"))
        assert woken == [b"p"]

    run(main())


def _refusing() -> Service:
    service = Service("depot")

    @service.performs(Purchase.ship)
    async def ship(payment: Paid, context: StepContext) -> Shipped | Unshippable:
        return Unshippable(id=payment.id)

    return service


async def _asked_again(world: World, saga_id: str) -> None:
    """Ask for the refund once more; return once whoever handles that has said so."""
    asked = AgainRequested(step="pay", epoch=1, by="ann", why="too little")
    record = request_record(
        TOPICS, "purchase", saga_id, asked, id_="again", now_ms=world.clock.now_ms()
    )
    await world.broker.publish(record)
    said = UndoAgain.event_type.encode()
    await world.until(
        lambda: any(
            dict(one.headers)["ce_type"] == said
            for one in world.broker.records(TOPICS.control("purchase"))
        )
    )
