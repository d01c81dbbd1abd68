"""A handler's signature: what fits is taken, what does not is refused in words."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from sagas import (
    NOTHING,
    AllOf,
    AnyOf,
    DefinitionError,
    Event,
    EventContext,
    OneOf,
    Saga,
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

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

RESERVE = ("order-fulfilment", "reserve_stock")


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
