"""A service's handlers: what fits is kept as it is, what does not is refused in words."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sagas import (
    NOTHING,
    DefinitionError,
    Event,
    EventContext,
    Saga,
    SagaEnded,
    Service,
    Start,
    Step,
    StepContext,
)
from tests.samples import (
    OrderEvent,
    OrderFulfilment,
    OrderPlaced,
    PaymentDeclined,
    PaymentVoided,
    StockReleased,
    StockReserved,
    StockUnavailable,
)

RESERVE = ("order-fulfilment", "reserve_stock")


async def reserve(order: OrderPlaced, context: StepContext) -> StockReserved | StockUnavailable:
    return StockReserved(order_id=order.order_id)


async def release(
    order: OrderPlaced, reserved: StockReserved | None, context: StepContext
) -> StockReleased:
    return StockReleased(order_id=order.order_id)


@pytest.fixture
def inventory() -> Service:
    return Service("inventory")


def performs(service: Service, step: Any = OrderFulfilment.reserve_stock) -> Callable[..., Any]:
    """As seen by somebody who runs no type checker."""
    register: Any = service.performs(step)
    return register  # type: ignore[no-any-return]


def undoes(service: Service, step: Any = OrderFulfilment.reserve_stock) -> Callable[..., Any]:
    register: Any = service.undoes(step)
    return register  # type: ignore[no-any-return]


class Placed(Event, type="shop.Placed.v1"):
    sale_id: str


class Packed(Event, type="shop.Packed.v1"):
    sale_id: str


class First(Saga):
    key = "sale_id"
    start = Start(Placed, by="shop", undone=NOTHING)
    pack = Step(by="shop", on=Placed, done=Packed, undone=NOTHING)


class Second(Saga):
    key = "sale_id"
    start = Start(Placed, by="shop", undone=NOTHING)
    pack = Step(by="shop", on=Placed, done=Packed, undone=NOTHING)


async def pack(placed: Placed, context: StepContext) -> Packed:
    return Packed(sale_id=placed.sale_id)


# --- registering ----------------------------------------------------------------------------------


def test_a_registered_function_is_the_same_function(inventory: Service) -> None:
    assert performs(inventory)(reserve) is reserve
    assert undoes(inventory)(release) is release
    assert inventory.performers[RESERVE].function is reserve
    assert inventory.performers[RESERVE].is_async
    assert inventory.performers[RESERVE].name == f"{__name__}.reserve"
    assert inventory.undoers[RESERVE].function is release
    assert inventory.sagas == (OrderFulfilment,)
    inventory.check()


def test_a_new_service_has_nothing(inventory: Service) -> None:
    assert inventory.name == "inventory"
    assert (inventory.performers, inventory.undoers, inventory.observers) == ({}, {}, [])
    assert inventory.sagas == ()
    inventory.check()


def test_services_know_nothing_of_each_other(inventory: Service) -> None:
    performs(inventory)(reserve)
    assert Service("inventory").performers == {}


def test_plain_functions_methods_partials_and_objects_are_handlers() -> None:
    def plain(order: OrderPlaced, context: StepContext) -> StockReserved:
        return StockReserved(order_id=order.order_id)

    class Shelf:
        async def reserve(self, order: OrderPlaced, context: StepContext) -> StockReserved:
            return StockReserved(order_id=order.order_id)

        async def __call__(self, order: OrderPlaced, context: StepContext) -> StockReserved:
            return StockReserved(order_id=order.order_id)

    async def with_shelf(shelf: str, order: OrderPlaced, context: StepContext) -> StockReserved:
        return StockReserved(order_id=order.order_id, reservation=shelf)

    handlers: list[tuple[Any, bool, str]] = [
        (plain, False, "plain"),
        (Shelf().reserve, True, "Shelf.reserve"),
        (Shelf(), True, "Shelf"),
        (functools.partial(with_shelf, "a"), True, "with_shelf"),
    ]
    for function, is_async, name in handlers:
        service = Service("inventory")
        performs(service)(function)
        handler = service.performers[RESERVE]
        assert handler.is_async is is_async
        assert handler.name.startswith(__name__)
        assert handler.name.endswith(name)


def test_one_handler_serves_several_sagas() -> None:
    service = Service("shop")
    service.performs(First.pack)(pack)
    service.performs(Second.pack)(pack)
    assert set(service.performers) == {("first", "pack"), ("second", "pack")}
    assert service.sagas == (First, Second)
    service.check([First, Second])


def test_the_starts_undo_makes_a_participant() -> None:
    orders = Service("orders")

    @undoes(orders, OrderFulfilment.start)
    async def cancel(order: OrderPlaced, context: StepContext) -> Any: ...

    assert orders.sagas == (OrderFulfilment,)
    assert set(orders.undoers) == {("order-fulfilment", "start")}
    orders.check([OrderFulfilment])


# --- what does not belong -------------------------------------------------------------------------


def test_registering_twice_is_refused(inventory: Service) -> None:
    performs(inventory)(reserve)
    words = "reserve can not perform .*reserve_stock: .*reserve is registered for it already"
    with pytest.raises(DefinitionError, match=words):
        performs(inventory)(reserve)
    undoes(inventory)(release)
    with pytest.raises(DefinitionError, match="release is registered for it already"):
        undoes(inventory)(release)


def test_the_wrong_service_is_refused(inventory: Service) -> None:
    with pytest.raises(
        DefinitionError,
        match=r"Service\('inventory'\) can not perform .*authorize_payment: .* to 'payments'",
    ):
        performs(inventory, OrderFulfilment.authorize_payment)
    with pytest.raises(DefinitionError, match="gives it to 'orders'"):
        undoes(inventory, OrderFulfilment.start)


def test_undoing_where_there_is_nothing_to_undo_is_refused() -> None:
    shipping, shop = Service("shipping"), Service("shop")
    with pytest.raises(DefinitionError, match=r"create_shipment: .* nothing to undo there"):
        undoes(shipping, OrderFulfilment.create_shipment)
    with pytest.raises(DefinitionError, match=r"First\.start: .* nothing to undo there"):
        undoes(shop, First.start)


def test_a_start_has_no_handler() -> None:
    with pytest.raises(DefinitionError, match=r"by client\.start\(OrderPlaced\(\.\.\.\)\)"):
        performs(Service("orders"), OrderFulfilment.start)


def test_a_decorator_without_its_step_is_refused(inventory: Service) -> None:
    async def reserve(order: OrderPlaced, context: object) -> None: ...

    with pytest.raises(DefinitionError, match=r"such as performs\(OrderFulfilment\.reserve_stock"):
        performs(inventory, reserve)


def test_only_steps_of_a_saga_have_handlers(inventory: Service) -> None:
    loose: Any = Step(by="inventory", on=OrderPlaced, done=StockReserved, undone=NOTHING)
    for wrong in (loose, "reserve_stock", OrderFulfilment):
        with pytest.raises(DefinitionError, match="give a step of a saga"):
            performs(inventory, wrong)


def test_missing_handlers_are_listed(inventory: Service) -> None:
    inventory.check()
    with pytest.raises(DefinitionError) as caught:
        inventory.check([OrderFulfilment])
    assert "nothing performs OrderFulfilment.reserve_stock" in str(caught.value)
    assert "nothing undoes OrderFulfilment.reserve_stock" in str(caught.value)
    performs(inventory)(reserve)
    with pytest.raises(DefinitionError) as caught:
        inventory.check()
    assert str(caught.value).count("\n- ") == 1
    assert "undoes(OrderFulfilment.reserve_stock)" in str(caught.value)


def test_a_missing_undo_of_the_start_is_told() -> None:
    with pytest.raises(DefinitionError, match=r"nothing undoes OrderFulfilment\.start"):
        Service("orders").check([OrderFulfilment])


def test_a_service_without_a_part_is_complete() -> None:
    Service("bystander").check([OrderFulfilment])


# --- observers ------------------------------------------------------------------------------------


def test_observers_of_events_and_of_ends(inventory: Service) -> None:
    @inventory.observes(PaymentDeclined, PaymentVoided)
    async def look(event: PaymentDeclined | PaymentVoided, context: EventContext) -> None: ...

    @inventory.observes(OrderFulfilment.ended, First.ended)
    def look_back(ended: SagaEnded, context: EventContext) -> None: ...

    @inventory.observes(PaymentDeclined)
    async def look_again(declined: PaymentDeclined, context: EventContext) -> None: ...

    first, second, third = inventory.observers
    names = {"payments.PaymentDeclined.v1", "payments.PaymentVoided.v1"}
    assert first.event_types == names
    assert dict(first.events) == {cls.event_type: cls for cls in (PaymentDeclined, PaymentVoided)}
    assert first.ended == frozenset()
    assert first.handler.function is look
    assert first.handler.is_async
    assert second.ended == {"order-fulfilment", "first"}
    assert not second.event_types
    assert not second.events
    assert not second.handler.is_async
    assert third.handler.function is look_again
    assert first.emitters == {"payments"}
    assert second.emitters == {*OrderFulfilment.definition.services, "shop"}
    assert inventory.sagas == ()


@pytest.mark.parametrize(
    ("observed", "shown"),
    [
        ((), "nothing"),
        ((OrderEvent,), "OrderEvent"),
        (("payments.PaymentDeclined.v1",), "'payments.PaymentDeclined.v1'"),
        ((OrderFulfilment,), "OrderFulfilment"),
        ((PaymentDeclined, OrderFulfilment.ended), r"PaymentDeclined, OrderFulfilment\.ended"),
    ],
)
def test_what_can_not_be_observed(inventory: Service, observed: Any, shown: str) -> None:
    observes: Any = inventory.observes
    with pytest.raises(DefinitionError, match=f"can not observe {shown}; name either event types"):
        observes(*observed)


# --- lifespan -------------------------------------------------------------------------------------


async def test_a_lifespan_opens_resources(inventory: Service) -> None:
    async with inventory.resources() as nothing_open:
        assert list(nothing_open) == []

    @inventory.lifespan
    @asynccontextmanager
    async def shelves() -> AsyncIterator[list[str]]:
        yield ["shelf"]

    assert inventory.resources is shelves
    async with inventory.resources() as opened:
        assert list(opened) == ["shelf"]
    with pytest.raises(DefinitionError, match="has a lifespan already"):
        inventory.lifespan(shelves)


def test_a_lifespan_is_a_context_manager(inventory: Service) -> None:
    async def shelves() -> AsyncIterator[list[str]]:
        yield ["shelf"]

    lifespan: Any = inventory.lifespan
    with pytest.raises(DefinitionError, match=r"decorate it with contextlib\.asynccontextmanager"):
        lifespan(shelves)
