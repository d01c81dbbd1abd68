"""The test environment on the sample saga: what it runs, what it skips, what it complains of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from sagas import EventContext, Service
from sagas.core.errors import ContractViolation
from sagas.core.framework_events import SagaParked, StepFailed
from sagas.core.instance import SagaStatus
from sagas.testing import SagaTestEnvironment, given
from tests.handlers import Shop
from tests.samples import (
    OrderCancelled,
    OrderFulfilment,
    OrderPlaced,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentVoided,
    ShipmentCreated,
    StockReleased,
    StockReserved,
)

ORDER = OrderPlaced(order_id="o-1", items=("book",))
FULL = [OrderPlaced, StockReserved, PaymentAuthorized, ShipmentCreated]
reserve_stock = OrderFulfilment.reserve_stock
authorize_payment = OrderFulfilment.authorize_payment
create_shipment = OrderFulfilment.create_shipment
capture_payment = OrderFulfilment.capture_payment


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_a_happy_path_and_its_history(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        saga_id = await env.start(ORDER)
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
        history = env.history(saga_id)
        assert [recorded.type for recorded in history[:4]] == FULL
        assert history[0].event == ORDER
        assert history[1].service == "inventory"
        assert repr(history[1]) == (
            "+0.000s inventory: StockReserved(order_id='o-1', reservation='')"
        )
    assert shop.done[:3] == ["reserve", "authorize", "ship"]
    assert sorted(shop.done[3:]) == ["capture", "notify"]
    assert shop.ended == [("o-1", "COMPLETED")]


async def test_a_declined_payment_compensates_in_reverse_order() -> None:
    shop = Shop(declined=frozenset({"o-1"}))
    async with SagaTestEnvironment(shop.services) as env:
        await (
            given(env)
            .when(ORDER)
            .then(
                StockReserved,
                PaymentDeclined(order_id="o-1", reason="no money"),
                StockReleased,
                OrderCancelled,
                ends=SagaStatus.COMPENSATED,
            )
        )
    assert shop.done == ["reserve", "release", "cancel"]
    assert shop.ended == [("o-1", "COMPENSATED")]


async def test_a_handler_that_fails_twice_is_tried_again(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.fail(reserve_stock, times=2)
        saga_id = await env.start(ORDER)
        view = await env.wait_for_end(saga_id)
        assert view.status is SagaStatus.COMPLETED
        pauses = timedelta(seconds=0.1) + timedelta(seconds=0.4)  # each spread by a tenth
        assert 0.9 * pauses <= env.history(saga_id)[1].at <= 1.1 * pauses
    assert shop.done.count("reserve") == 1


async def test_a_handler_that_fails_three_times_fails_the_step(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        await (
            given(env)
            .fail(authorize_payment, times=3, error=ConnectionError("the bank is away"))
            .when(ORDER)
            .then(
                StockReserved,
                StepFailed(
                    step="authorize_payment",
                    error="ConnectionError: the bank is away",
                    attempts=3,
                ),
                PaymentVoided,
                StockReleased,
                OrderCancelled,
                ends=SagaStatus.COMPENSATED,
            )
        )
    assert shop.done == ["reserve", "void", "release", "cancel"]


async def test_a_failing_pivot_parks_the_saga_and_leaving_complains(shop: Shop) -> None:
    with pytest.raises(AssertionError) as raised:  # noqa: PT012 - the end of the block raises
        async with SagaTestEnvironment(shop.services) as env:
            env.fail(create_shipment, times=None)
            saga_id = await env.start(ORDER)
            await env.run()
            assert env.status(saga_id) is SagaStatus.PARKED
            parked = env.history(saga_id)[-1]
            assert isinstance(parked.event, SagaParked)
            assert parked.event.step == "create_shipment"
    said = str(raised.value)
    assert "order-fulfilment 'o-1' is PARKED in state 'PAID', because of sagas.SagaParked" in said
    assert "InjectedFailure: as the test ordered" in said
    assert "waits for an operator" in said


async def test_a_parked_saga_may_be_expected(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.fail(capture_payment, times=None)
        saga_id = await env.start(ORDER)
        await env.run()
        env.expect_unfinished(saga_id)
    assert "capture" not in shop.done


async def test_a_failing_undo_is_tried_again(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.fail(authorize_payment, times=3)
        env.fail(reserve_stock, times=2, undo=True)
        await env.wait_for_end(await env.start(ORDER))
    assert shop.done == ["reserve", "void", "release", "cancel"]


async def test_hours_cost_nothing(shop: Shop) -> None:
    begin = datetime(2030, 5, 1, tzinfo=UTC)
    async with SagaTestEnvironment(shop.services, start_time=begin) as env:
        env.delay(authorize_payment, 3 * 3600)
        saga_id = await env.start(ORDER)
        await env.advance(3600)
        assert env.status(saga_id) is SagaStatus.RUNNING
        assert env.clock.elapsed == timedelta(hours=1)
        await env.run()
        assert env.clock.now == begin + timedelta(hours=3)
        assert env.status(saga_id) is SagaStatus.COMPLETED


async def test_time_passes_at_once_for_those_who_sleep_side_by_side(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.delay(reserve_stock, 10)
        for number in range(20):
            await env.start(OrderPlaced(order_id=f"o-{number}"))
        await env.run()
        assert env.clock.elapsed == timedelta(seconds=10)


async def test_time_does_not_pass_while_a_message_is_on_its_way(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.delay(reserve_stock, 10)
        await env.start(ORDER)
        await env.advance(0)
        assert list(env._rest._busy()) == []
        await env.start(OrderPlaced(order_id="o-2"))
        assert any(words.startswith("inventory has 1 to read") for words in env._rest._busy())
        await env.run()
        assert env.clock.elapsed == timedelta(seconds=10)


async def test_redelivery_changes_nothing(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        saga_id = await env.start(ORDER)
        await env.run()
        done, before = sorted(shop.done), env.view(saga_id)
        await env.redeliver(saga_id)
        await env.run()
        assert env.view(saga_id) == before
    assert sorted(shop.done) == done
    assert shop.ended == [("o-1", "COMPLETED")] * 2  # observers are told at least once


async def test_redelivery_in_the_middle_changes_nothing(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.delay(authorize_payment, 60)
        saga_id = await env.start(ORDER)
        await env.advance(1)
        await env.redeliver(saga_id)
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
    assert sorted(shop.done) == ["authorize", "capture", "notify", "reserve", "ship"]


async def test_a_crash_in_the_middle_and_a_restart(shop: Shop) -> None:
    inventory, *others = shop.inventory(), shop.orders(), shop.payments(), *shop.others()
    async with SagaTestEnvironment([inventory, *others]) as env:
        env.delay(reserve_stock, 60)
        saga_id = await env.start(ORDER)
        await env.advance(1)
        env.crash(inventory)
        await env.run()
        assert env.status(saga_id) is SagaStatus.RUNNING
        await env.restart("inventory")
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
    assert shop.done.count("reserve") == 1


async def test_a_crash_after_the_effect_runs_the_handler_again(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.crash_after(reserve_stock)
        saga_id = await env.start(ORDER)
        await env.run()
        await env.restart("inventory")
        await env.run()
        assert env.status(saga_id) is SagaStatus.COMPLETED
    assert shop.done.count("reserve") == 2  # without a journal: at least once


async def test_leaving_a_crashed_service_says_what_is_missing(shop: Shop) -> None:
    with pytest.raises(AssertionError) as raised:  # noqa: PT012 - the end of the block raises
        async with SagaTestEnvironment(shop.services) as env:
            env.crash("payments")
            await env.start(ORDER)
    said = str(raised.value)
    assert "order-fulfilment 'o-1' is RUNNING in state 'RESERVED'" in said
    assert (
        "waits for payments to perform authorize_payment, which has crashed: "
        "await env.restart('payments')"
    ) in said
    assert "inventory: StockReserved(order_id='o-1'" in said
    assert "payments has crashed and has 1 record of test.inventory.events-" in said


async def test_leaving_says_who_is_asleep(shop: Shop) -> None:
    with pytest.raises(AssertionError) as raised:  # noqa: PT012 - the end of the block raises
        async with SagaTestEnvironment(shop.services) as env:
            env.delay(reserve_stock, 90)
            await env.start(ORDER)
    assert (
        "inventory performs reserve_stock of order-fulfilment 'o-1' is asleep until +0:01:30; "
        "await env.run() lets that time pass"
    ) in str(raised.value)


async def test_a_start_that_nobody_sees_is_reported(shop: Shop) -> None:
    with pytest.raises(AssertionError, match="no service has handled its start"):  # noqa: PT012 - the end of the block raises
        async with SagaTestEnvironment(shop.services) as env:
            for service in ("orders", "inventory"):
                env.crash(service)
            await env.start(ORDER)


async def test_waiting_for_an_end_that_does_not_come(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.fail(create_shipment, times=None)
        saga_id = await env.start(ORDER)
        with pytest.raises(AssertionError, match="is PARKED"):
            await env.wait_for_end(saga_id)
        env.expect_unfinished(saga_id)


async def test_an_expectation_that_is_not_met_is_a_complaint(shop: Shop) -> None:
    with pytest.raises(AssertionError, match=r"is COMPLETED .*expected to be unfinished"):
        async with SagaTestEnvironment(shop.services) as env:
            env.expect_unfinished(await env.start(ORDER))


async def test_an_exception_of_the_block_is_not_hidden(shop: Shop) -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def broken() -> AsyncIterator[Iterable[object]]:
        yield ()
        closed.append("inventory")
        raise OSError("can not close")

    with pytest.raises(KeyError, match="the test's own") as raised:  # noqa: PT012 - the end of the block raises
        async with SagaTestEnvironment(shop.services, resources={"inventory": broken}) as env:
            env.delay(reserve_stock, 5)
            await env.start(ORDER)
            await env.advance(1)
            raise KeyError("the test's own")
    assert closed == ["inventory"]
    assert any("can not close" in note for note in raised.value.__notes__)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_dead_letters_are_reported(shop: Shop) -> None:
    with pytest.raises(AssertionError) as raised:  # noqa: PT012 - the end of the block raises
        async with SagaTestEnvironment(shop.services) as env:
            await env.start(ORDER)
            await env.run()
            await env.publish(StockReserved(order_id="o-2"), saga_id="o-2")
            await env.run()
            (letter,) = env.dead_letters
            assert letter.service == "payments"
            assert letter.exception == "UnknownInstance"
    said = str(raised.value)
    assert "there is 1 dead letter, 0 expected" in said
    assert "payments, from test.inventory.events: UnknownInstance: inventory.StockReserved" in said


async def test_dead_letters_may_be_expected(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        await env.publish(StockReserved(order_id="o-2"), saga_id="o-2")
        env.expect_dead_letters(1)


async def test_an_outside_event_starts_a_saga(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        await env.publish(ORDER)
        view = await env.wait_for_end("o-1")
        assert view.status is SagaStatus.COMPLETED


async def test_what_is_wrongly_asked_is_said(shop: Shop) -> None:
    async with SagaTestEnvironment([shop.inventory()]) as env:
        with pytest.raises(ContractViolation, match="'payments' is not in this environment"):
            env.fail(authorize_payment)
        with pytest.raises(ContractViolation, match="declares nothing to undo"):
            env.replace(create_shipment, returns=ORDER, undo=True)
        with pytest.raises(ContractViolation, match="is the class StockReserved"):
            env.replace(reserve_stock, returns=StockReserved)
    with pytest.raises(ContractViolation, match="Two services are called 'inventory'"):
        SagaTestEnvironment([shop.inventory(), shop.inventory()])
    with pytest.raises(ContractViolation, match="names stock, which is none of"):
        SagaTestEnvironment([shop.inventory()], resources={"stock": _nothing})


@asynccontextmanager
async def _nothing() -> AsyncIterator[Iterable[object]]:
    yield ()


async def test_the_services_themselves_are_left_alone(shop: Shop) -> None:
    services = shop.services
    before = [dict(service.performers) for service in services]
    async with SagaTestEnvironment(services) as env:
        env.fail(reserve_stock, times=None)
        await env.start(ORDER)
        await env.run()
    assert [dict(service.performers) for service in services] == before


async def test_observers_fail_into_the_dead_letters(shop: Shop) -> None:
    audit = Service("audit")

    @audit.observes(StockReserved)
    async def note(reserved: StockReserved, context: EventContext) -> None:
        raise ValueError("full")

    async with SagaTestEnvironment([*shop.services, audit]) as env:
        await env.start(ORDER)
        await env.run()
        env.expect_dead_letters(1)
        assert env.dead_letters[0].reason == "full"
