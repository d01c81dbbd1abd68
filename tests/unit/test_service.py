"""A service's handlers: what fits is kept as it is, what does not is refused in words."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import structlog

from sagas import (
    NOTHING,
    AllOf,
    AnyOf,
    ContractViolation,
    DefinitionError,
    Event,
    EventContext,
    OneOf,
    Saga,
    SagaEnded,
    Service,
    Start,
    Step,
    StepContext,
)
from sagas.core.definition import Direction
from tests.samples import (
    OrderEvent,
    OrderFulfilment,
    OrderPlaced,
    PaymentDeclined,
    PaymentVoided,
    ShipmentCreated,
    StockReleased,
    StockReserved,
    StockUnavailable,
)

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

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


def test_only_steps_of_a_saga_have_handlers(inventory: Service) -> None:
    loose: Any = Step(by="inventory", on=OrderPlaced, done=StockReserved, undone=NOTHING)
    for wrong in (loose, "reserve_stock", OrderFulfilment, OrderFulfilment.start):
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


# --- signatures -----------------------------------------------------------------------------------


def wider(order: Event, context: EventContext) -> StockReserved:
    raise NotImplementedError


def bare(order, context):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    raise NotImplementedError


def with_default(order: OrderPlaced, context: StepContext, more: int = 1) -> Any:
    raise NotImplementedError


def variadic(*given: OrderPlaced | StepContext) -> Any:
    raise NotImplementedError


def unresolvable(order: OnlyForTypeCheckers, context: StepContext) -> Any:
    raise NotImplementedError


def never(order: OrderPlaced, context: StepContext) -> NoReturn:
    raise NotImplementedError


GOOD: list[Any] = [wider, bare, with_default, variadic, unresolvable, never]


@pytest.mark.parametrize("good", GOOD, ids=lambda function: function.__name__)
def test_signatures_that_fit(inventory: Service, good: Callable[..., Any]) -> None:
    performs(inventory)(good)
    assert inventory.performers[RESERVE].function is good


def one(order: OrderPlaced) -> StockReserved:
    raise NotImplementedError


def three(order: OrderPlaced, more: int, context: StepContext) -> Any:
    raise NotImplementedError


def by_name(order: OrderPlaced, context: StepContext, *, shelf: str) -> Any:
    raise NotImplementedError


def wrong_trigger(order: StockReserved, context: StepContext) -> Any:
    raise NotImplementedError


def wrong_context(order: OrderPlaced, context: str) -> Any:
    raise NotImplementedError


def swapped(context: StepContext, order: OrderPlaced) -> Any:
    raise NotImplementedError


def undeclared(order: OrderPlaced, context: StepContext) -> StockReserved | PaymentDeclined:
    raise NotImplementedError


def too_wide(order: OrderPlaced, context: StepContext) -> OrderEvent:
    raise NotImplementedError


def nothing(order: OrderPlaced, context: StepContext) -> StockReserved | None:
    raise NotImplementedError


def generator(order: OrderPlaced, context: StepContext) -> Iterator[StockReserved]:
    yield StockReserved(order_id=order.order_id)


def half_async(order: OrderPlaced, context: StepContext) -> Awaitable[StockReserved]:
    raise NotImplementedError


def variadic_wrong(*given: OrderPlaced) -> Any:
    raise NotImplementedError


EXPECTED = (
    r"Expected \(order_placed: OrderPlaced, context: StepContext\) -> "
    r"StockReserved \| StockUnavailable\."
)
MISFITS: list[tuple[Any, str]] = [
    (one, "it takes 1 parameter, and gets 2"),
    (three, "it takes 3 parameters, and gets 2"),
    (by_name, "it takes 3 parameters, some by name only .*, and gets 2"),
    (wrong_trigger, "its parameter 'order' is StockReserved, but gets OrderPlaced"),
    (wrong_context, "its parameter 'context' is str, but gets StepContext"),
    (swapped, "'context' is StepContext, but gets OrderPlaced; its parameter 'order'"),
    (variadic_wrong, "its parameter 'given' is OrderPlaced, but gets StepContext"),
    (undeclared, "it may return PaymentDeclined, which is not among its outcomes"),
    (too_wide, "it may return OrderEvent, which is not among its outcomes"),
    (nothing, "it may return None, which is not among its outcomes"),
    (generator, "it yields; return the outcome instead"),
    (half_async, "it returns .*Awaitable.* but is no coroutine; write async def"),
]


@pytest.mark.parametrize(("bad", "words"), MISFITS, ids=[bad.__name__ for bad, _ in MISFITS])
def test_signatures_that_do_not_fit(inventory: Service, bad: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=f"{bad.__name__} can not perform .*{words}") as told:
        performs(inventory)(bad)
    assert re.search(EXPECTED, str(told.value))
    assert inventory.performers == {}
    assert inventory.sagas == ()


def test_what_is_no_function_is_refused(inventory: Service) -> None:
    with pytest.raises(DefinitionError, match=r"'reserve' can not perform .*: it is no function"):
        performs(inventory)("reserve")


def undo_without_outcome(order: OrderPlaced, context: StepContext) -> StockReleased:
    raise NotImplementedError


def undo_of_known(
    order: OrderPlaced, reserved: StockReserved, context: StepContext
) -> StockReleased:
    raise NotImplementedError


def undo_of_refused(
    order: OrderPlaced, reserved: StockUnavailable | None, context: StepContext
) -> StockReleased:
    raise NotImplementedError


def undo_refused(
    order: OrderPlaced, reserved: StockReserved | None, context: StepContext
) -> StockUnavailable:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (undo_without_outcome, "it takes 2 parameters, and gets 3"),
        (undo_of_known, "its parameter 'reserved' is StockReserved, but gets None"),
        (undo_of_refused, r"'reserved' is StockUnavailable \| None, but gets StockReserved"),
        (undo_refused, "it may return StockUnavailable, which is not among its outcomes"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_undos_that_do_not_fit(inventory: Service, bad: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words) as told:
        undoes(inventory)(bad)
    assert "stock_reserved: StockReserved | None, context: StepContext) -> StockReleased" in str(
        told.value
    )


# --- joins, merges, choices -----------------------------------------------------------------------


class SaleEvent(Event):
    sale_id: str


class Placed(SaleEvent, type="shop.Placed.v1"):
    pass


class Left(SaleEvent, type="shop.Left.v1"):
    pass


class Right(SaleEvent, type="shop.Right.v1"):
    pass


class Packed(SaleEvent, type="shop.Packed.v1"):
    pass


class Merged(SaleEvent, type="shop.Merged.v1"):
    pass


class Joined(SaleEvent, type="shop.Joined.v1"):
    pass


class Unjoined(SaleEvent, type="shop.Unjoined.v1"):
    pass


class First(Saga):
    key = "sale_id"
    start = Start(Placed, by="shop", undone=NOTHING)
    pack = Step(by="shop", on=Placed, done=Packed, undone=NOTHING)


class Second(Saga):
    key = "sale_id"
    start = Start(Placed, by="shop", undone=NOTHING)
    pack = Step(by="shop", on=Placed, done=Packed, undone=NOTHING)


class Branching(Saga):
    key = "sale_id"
    start = Start(Placed, by="shop", undone=NOTHING)
    choose = Step(by="shop", on=Placed, done=OneOf(Left, Right), undone=NOTHING)
    pack = Step(by="shop", on=Placed, done=Packed, undone=NOTHING)
    merge = Step(by="shop", on=AnyOf(Left, Right), done=Merged, undone=NOTHING)
    join = Step(by="shop", on=AllOf(Merged, Packed), done=Joined, undone=Unjoined)


async def pack(placed: Placed, context: StepContext) -> Packed:
    return Packed(sale_id=placed.sale_id)


async def choose(placed: Placed, context: StepContext) -> Left | Right:
    return Left(sale_id=placed.sale_id)


async def merge(branch: Left | Right, context: StepContext) -> Merged:
    return Merged(sale_id=branch.sale_id)


async def join(merged: Merged, packed: Packed, context: StepContext) -> Joined:
    return Joined(sale_id=merged.sale_id)


async def unjoin(
    merged: Merged, packed: Packed, joined: Joined | None, context: StepContext
) -> Unjoined:
    return Unjoined(sale_id=merged.sale_id)


def test_joins_merges_and_choices_have_their_shapes() -> None:
    shop = Service("shop")
    shop.performs(Branching.choose)(choose)
    shop.performs(Branching.pack)(pack)
    shop.performs(Branching.merge)(merge)
    shop.performs(Branching.join)(join)
    shop.undoes(Branching.join)(unjoin)
    shop.check()


async def half_a_merge(branch: Left, context: StepContext) -> Merged:
    raise NotImplementedError


async def half_a_join(merged: Merged, context: StepContext) -> Joined:
    raise NotImplementedError


async def join_in_another_order(packed: Packed, merged: Merged, context: StepContext) -> Joined:
    raise NotImplementedError


def test_joins_and_merges_that_do_not_fit() -> None:
    shop = Service("shop")
    with pytest.raises(
        DefinitionError, match=r"'branch' is Left, but gets Right\. .*Left \| Right"
    ):
        performs(shop, Branching.merge)(half_a_merge)
    with pytest.raises(DefinitionError, match="it takes 2 parameters, and gets 3"):
        performs(shop, Branching.join)(half_a_join)
    with pytest.raises(DefinitionError, match=r"'packed' is Packed, but gets Merged; .*'merged'"):
        performs(shop, Branching.join)(join_in_another_order)


# --- observers ------------------------------------------------------------------------------------


def test_observers_of_events_and_of_ends(inventory: Service) -> None:
    @inventory.observes(PaymentDeclined, PaymentVoided)
    async def look(event: PaymentDeclined | PaymentVoided, context: EventContext) -> None: ...

    @inventory.observes(OrderFulfilment.ended, Branching.ended)
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
    assert second.ended == {"order-fulfilment", "branching"}
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


def test_observers_that_do_not_fit(inventory: Service) -> None:
    observes: Any = inventory.observes

    def step_like(event: PaymentDeclined, context: StepContext) -> None: ...
    def half(event: PaymentDeclined, context: EventContext) -> None: ...

    with pytest.raises(DefinitionError, match="'context' is StepContext, but gets EventContext"):
        observes(PaymentDeclined)(step_like)
    with pytest.raises(DefinitionError, match=r"can not observe .*, but gets PaymentVoided"):
        observes(PaymentDeclined, PaymentVoided)(half)
    with pytest.raises(DefinitionError, match=r"\(saga_ended: SagaEnded, context: EventContext\)"):
        observes(OrderFulfilment.ended)(half)
    assert inventory.observers == []


# --- lifespan and contexts ------------------------------------------------------------------------


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


def context(**more: Any) -> StepContext:
    return StepContext(
        **{
            "saga": "order-fulfilment",
            "saga_id": "1",
            "correlation_id": "1",
            "status": "RUNNING",
            "logger": structlog.get_logger(),
            "step": "capture_payment",
            "direction": Direction.FORWARD,
            "attempt": 1,
            "epoch": 0,
            "idempotency_key": "k",
            **more,
        }
    )


class Engine:
    pass


class FastEngine(Engine):
    pass


def test_resources_are_found_by_type() -> None:
    engine, fast = Engine(), FastEngine()
    assert context(resources={FastEngine: fast, Engine: engine}).resource(Engine) is engine
    assert context(resources={FastEngine: fast}).resource(Engine) is fast
    with pytest.raises(
        ContractViolation, match=r"type str is open; .* yields Engine, FastEngine\."
    ):
        context(resources={FastEngine: fast, Engine: engine}).resource(str)
    with pytest.raises(ContractViolation, match="yields nothing"):
        context().resource(Engine)


def test_declared_events_are_read() -> None:
    order = OrderPlaced(order_id="1")
    given = context(events={OrderPlaced.event_type: order})
    assert given.read(OrderPlaced) is order
    with pytest.raises(
        ContractViolation,
        match=r"order-fulfilment\.capture_payment reads ShipmentCreated .* it may read "
        r"orders\.OrderPlaced\.v1\. Add reads=ShipmentCreated",
    ):
        given.read(ShipmentCreated)


def test_contexts_are_frozen_and_have_no_room_for_more() -> None:
    with pytest.raises(AttributeError):
        context().attempt = 2  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(context(), "__dict__")
