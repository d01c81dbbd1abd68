"""Given, when, then; and participants that are stood in for."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation
from sagas.core.framework_events import SagaParked, StepFailed
from sagas.core.instance import SagaStatus
from sagas.testing import SagaTestEnvironment, given
from sagas.testing.history import shown
from tests.handlers import Shop
from tests.samples import (
    CustomerNotified,
    OrderCancelled,
    OrderFulfilment,
    OrderPlaced,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    ShipmentCreated,
    StockReleased,
    StockReserved,
)

ORDER = OrderPlaced(order_id="o-1")
reserve_stock = OrderFulfilment.reserve_stock
authorize_payment = OrderFulfilment.authorize_payment
create_shipment = OrderFulfilment.create_shipment


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_steps_side_by_side_come_in_any_order(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        saga_id = await (
            given(env)
            .delay(OrderFulfilment.capture_payment, 1)
            .when(ORDER)
            .then(
                StockReserved,
                PaymentAuthorized,
                ShipmentCreated,
                {CustomerNotified, PaymentCaptured(order_id="o-1")},
                ends=SagaStatus.COMPLETED,
            )
        )
        assert env.clock.elapsed.total_seconds() == 1
    assert saga_id == "o-1"


async def test_a_story_that_ends_parked(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        await (
            given(env)
            .fail(create_shipment, times=None)
            .when(ORDER)
            .then(StockReserved, PaymentAuthorized, SagaParked, ends=SagaStatus.PARKED)
        )


@pytest.mark.parametrize(
    ("then", "ends", "said"),
    [
        ((StockReserved,), SagaStatus.COMPLETED, "'o-1' is COMPENSATED, expected COMPLETED"),
        ((PaymentDeclined,), SagaStatus.COMPENSATED, r"Then StockReserved\(.*expected Payment"),
        ((StockReserved,), SagaStatus.COMPENSATED, r"Then PaymentDeclined\(.*nothing more"),
        (
            (StockReserved, PaymentDeclined, StockReleased, OrderCancelled, OrderCancelled),
            SagaStatus.COMPENSATED,
            "Then nothing, expected OrderCancelled",
        ),
        (
            (StockReserved(order_id="o-2"),),
            SagaStatus.COMPENSATED,
            r"expected StockReserved\(order_id='o-2'",
        ),
    ],
)
async def test_another_story_is_told(
    then: tuple[type[StockReserved], ...], ends: SagaStatus, said: str
) -> None:
    shop = Shop(declined=frozenset({"o-1"}))
    async with SagaTestEnvironment(shop.services) as env:
        with pytest.raises(AssertionError, match=said) as raised:
            await given(env).when(ORDER).then(*then, ends=ends)
        assert "+0.000s payments: PaymentDeclined(order_id='o-1', reason=" in str(raised.value)


async def test_a_service_under_test_among_stand_ins(shop: Shop) -> None:
    async with SagaTestEnvironment([shop.inventory()]) as env:
        await (
            given(env)
            .replace(authorize_payment, returns=PaymentDeclined(order_id="o-1"))
            .replace(OrderFulfilment.start, undo=True, returns=OrderCancelled(order_id="o-1"))
            .when(ORDER)
            .then(
                StockReserved,
                PaymentDeclined,
                StockReleased,
                OrderCancelled,
                ends=SagaStatus.COMPENSATED,
            )
        )
    assert shop.done == ["reserve", "release"]


async def test_a_stand_in_answers_by_a_function(shop: Shop) -> None:
    def authorize(reserved: StockReserved, *_: object) -> PaymentAuthorized:
        return PaymentAuthorized(order_id=reserved.order_id, authorization="A1")

    async def ship(authorized: PaymentAuthorized, *_: object) -> ShipmentCreated:
        return ShipmentCreated(order_id=authorized.order_id, parcel=authorized.authorization)

    async with SagaTestEnvironment(shop.services) as env:
        env.replace(authorize_payment, returns=authorize)
        env.replace(create_shipment, returns=ship)
        saga_id = await env.start(ORDER)
        await env.run()
        assert env.history(saga_id)[3].event == ShipmentCreated(order_id="o-1", parcel="A1")
    assert sorted(shop.done) == ["capture", "notify", "reserve"]


async def test_a_participant_that_is_missing_is_named(shop: Shop) -> None:
    with pytest.raises(AssertionError) as raised:
        async with SagaTestEnvironment([shop.inventory()]) as env:
            await env.start(ORDER)
    assert (
        "waits for payments to perform authorize_payment, which is not in this environment: add "
        "the service, or answer for it with env.replace(<saga>.authorize_payment, returns=...)"
    ) in str(raised.value)


async def test_a_stand_in_is_asked_for_more_than_it_knows(shop: Shop) -> None:
    orders, inventory, _, *others = shop.services
    with pytest.raises(AssertionError) as raised:  # noqa: PT012 - the end of the block raises
        async with SagaTestEnvironment([orders, inventory, *others]) as env:
            env.replace(authorize_payment, returns=PaymentAuthorized(order_id="o-1"))
            env.fail(create_shipment, times=None)
            saga_id = await env.start(ORDER)
            await env.run()
            assert env.status(saga_id) is SagaStatus.PARKED
            env.expect_unfinished(saga_id)
            env.fail(authorize_payment, times=3)
            other = await env.start(OrderPlaced(order_id="o-2"))
            await env.run()
            assert StepFailed in [recorded.type for recorded in env.history(other)]
            env.expect_unfinished(other)
    assert (
        "OrderFulfilment.authorize_payment was to be undone, by a stand-in: answer with "
        "env.replace(OrderFulfilment.authorize_payment, returns=..., undo=True)."
    ) in str(raised.value)


# --- what a beginner writes -----------------------------------------------------------------------


async def test_a_sentence_that_is_never_awaited_fails(shop: Shop) -> None:
    with pytest.raises(AssertionError, match=r"when\(OrderPlaced\).*never awaited; write `await"):
        async with SagaTestEnvironment(shop.services) as env:
            forgotten = given(env).when(ORDER).then(StockReserved, ends=SagaStatus.COMPLETED)
    forgotten.close()


async def test_an_end_may_be_named_as_text() -> None:
    shop = Shop(declined=frozenset({"o-1"}))
    async with SagaTestEnvironment(shop.services) as env:
        story = (StockReserved, PaymentDeclined, StockReleased, OrderCancelled)
        await given(env).when(ORDER).then(*story, ends="COMPENSATED")
        with pytest.raises(ContractViolation, match=r"expected one of SagaStatus.RUNNING"):
            await given(env).when(ORDER).then(*story, ends="DONE")


async def test_a_story_without_a_service_names_it(shop: Shop) -> None:
    async with SagaTestEnvironment([shop.inventory()]) as env:
        with pytest.raises(
            AssertionError, match=r"RUNNING, expected COMPLETED.*\n.*payments"
        ) as raised:
            await given(env).when(ORDER).then(StockReserved, ends=SagaStatus.COMPLETED)
        assert "which is not in this environment: add the service" in str(raised.value)
        env.expect_unfinished("o-1")


async def test_a_start_that_nobody_handles_names_the_service(shop: Shop) -> None:
    payments = next(service for service in shop.services if service.name == "notifications")
    said = "no service has handled its start. inventory is not in this environment: add the service"
    with pytest.raises(AssertionError, match=said):
        async with SagaTestEnvironment([payments]) as env:
            await env.start(ORDER)


def test_an_environment_says_what_it_takes(shop: Shop) -> None:
    orders, inventory, *_ = shop.services
    with pytest.raises(ContractViolation, match=r"give a list: SagaTestEnvironment\(\[orders, inv"):
        SagaTestEnvironment(orders, inventory)  # type: ignore[arg-type]
    with pytest.raises(ContractViolation, match="got the saga OrderFulfilment; give the services"):
        SagaTestEnvironment([OrderFulfilment])  # type: ignore[list-item]
    with pytest.raises(ContractViolation, match="expected one list of services"):
        SagaTestEnvironment(OrderFulfilment)  # type: ignore[arg-type]


async def test_a_class_is_no_event(shop: Shop) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        with pytest.raises(
            ContractViolation, match=r"OrderPlaced is a class; .* OrderPlaced\(...\)"
        ):
            await given(env).when(OrderPlaced).then(ends=SagaStatus.COMPLETED)  # type: ignore[arg-type]


def test_enumerations_are_told_by_their_value() -> None:
    event = SagaParked(step="s", direction=Direction.UNDO, error="no", attempts=3)
    assert "direction='undo'" in shown(event)


async def test_a_failing_handler_prints_no_locals(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    with capture_logs():
        pass  # leaves structlog "configured", as any test before this one may
    async with SagaTestEnvironment(shop.services) as env:
        env.fail(create_shipment, times=None)
        await (
            given(env)
            .when(ORDER)
            .then(StockReserved, PaymentAuthorized, SagaParked, ends=SagaStatus.PARKED)
        )
    printed = capsys.readouterr().out
    assert "InjectedFailure: as the test ordered" in printed
    assert "─ locals" not in printed
    assert "╭" not in printed
    assert "message_id" not in printed
    (parked,) = [line for line in printed.splitlines() if "SagaParked" in line]
    assert "[warning" in parked
    assert "as the test ordered" in parked


async def _forgets_to_await(order: OrderPlaced, *_: object) -> StockReserved:
    return StockReserved(order_id=order.order_id)


async def _raises_an_event(order: OrderPlaced, *_: object) -> StockReserved:
    raise StockReserved(order_id=order.order_id)  # type: ignore[misc]


async def _returns_a_coroutine(order: OrderPlaced, *_: object) -> Any:
    return _forgets_to_await(order)


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (_returns_a_coroutine, "not run yet: an `await` is missing"),
        (_raises_an_event, "a refusal is returned, not raised"),
    ],
)
async def test_a_handlers_slip_is_told_in_words(shop: Shop, handler: Any, said: str) -> None:
    async with SagaTestEnvironment(shop.services) as env:
        env.replace(reserve_stock, returns=handler)
        saga_id = await env.start(ORDER)
        await env.run()
        (failed,) = [one for one in env.history(saga_id) if one.type is StepFailed]
    assert said in repr(failed)
    assert "attempts=1" in repr(failed)
