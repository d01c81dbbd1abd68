"""eShop's ordering: a grace period, the stock's word, the payment's word, shipped.

Twice: as it should be, and as the original has it. There the stock is only looked at, not reserved; and
when there is not enough of it, nobody is told.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sagas import (
    NEVER,
    Event,
    EventContext,
    Guard,
    Reads,
    Saga,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    Writes,
    minutes,
    seconds,
)
from sagas.adapters.memory.journal import MemoryJournal
from sagas.testing.simulation import Setting

__all__ = ["Ordering", "OriginalOrdering", "eshop", "eshop_original"]


class _Order(Event):
    order_id: str


class OrderStarted(_Order, type="ordering.OrderStarted.v1"): ...


class OrderCancelled(_Order, type="ordering.OrderCancelled.v1"): ...


class AwaitingValidation(_Order, type="ordering.AwaitingValidation.v1"): ...


class StockConfirmed(_Order, type="catalog.StockConfirmed.v1"): ...


class StockRejected(_Order, type="catalog.StockRejected.v1"): ...


class StockReleased(_Order, type="catalog.StockReleased.v1"): ...


class PaymentSucceeded(_Order, type="payment.PaymentSucceeded.v1"): ...


class PaymentFailed(_Order, type="payment.PaymentFailed.v1"): ...


class OrderPaid(_Order, type="ordering.OrderPaid.v1"): ...


class StockTaken(_Order, type="catalog.StockTaken.v1"): ...


class OrderShipped(_Order, type="ordering.OrderShipped.v1"): ...


class Ordering(Saga):
    """As it should be: what is confirmed is reserved, and a refusal is an event."""

    key = "order_id"
    name = "ordering"
    step_timeout = seconds(20)
    start = Start(OrderStarted, by="ordering", undone=OrderCancelled, state="SUBMITTED")
    grace_period = Wait(
        by="ordering", on=OrderStarted, timeout=minutes(1), otherwise=AwaitingValidation,
        state="AWAITING_VALIDATION",
    )  # fmt: skip
    reserve_stock = Step(
        by="catalog", on=AwaitingValidation, done=StockConfirmed, refused=StockRejected,
        undone=StockReleased, state="STOCK_CONFIRMED", data=Writes("stock", guard=Guard.COMMUTATIVE),
    )  # fmt: skip
    pay = Step(
        by="payment", on=StockConfirmed, done=PaymentSucceeded, refused=PaymentFailed, pivot=True
    )
    mark_paid = Step(by="ordering", on=PaymentSucceeded, done=OrderPaid, state="PAID")
    ship = Step(by="ordering", on=OrderPaid, done=OrderShipped, state="SHIPPED")


class OriginalOrdering(Saga):
    """As the original has it: the catalog's word comes from outside, if it comes."""

    key = "order_id"
    name = "original-ordering"
    step_timeout = seconds(20)
    start = Start(OrderStarted, by="ordering", undone=OrderCancelled, state="SUBMITTED")
    grace_period = Wait(
        by="ordering", on=OrderStarted, timeout=minutes(1), otherwise=AwaitingValidation,
        state="AWAITING_VALIDATION",
    )  # fmt: skip
    check_stock = Wait(
        by="catalog", on=AwaitingValidation, done=StockConfirmed, refused=StockRejected,
        timeout=NEVER, data=Reads("stock"),
    )  # fmt: skip
    pay = Step(
        by="payment", on=StockConfirmed, done=PaymentSucceeded, refused=PaymentFailed, pivot=True
    )
    mark_paid = Step(by="ordering", on=PaymentSucceeded, done=OrderPaid, state="PAID")
    take_stock = Step(by="catalog", on=OrderPaid, done=StockTaken, data=Writes("stock"))
    ship = Step(by="ordering", on=OrderPaid, done=OrderShipped, state="SHIPPED")


@dataclass
class Shop:
    """Pieces in stock, what is reserved for whom, and who has no money."""

    stock: int
    reserved: Counter[str] = field(default_factory=Counter)
    poor: frozenset[str] = frozenset()
    shipped: list[str] = field(default_factory=list)


def _ordering(saga: type[Ordering | OriginalOrdering]) -> Service:
    ordering = Service("ordering")

    @ordering.undoes(saga.start)
    async def cancel(order: OrderStarted, context: StepContext) -> OrderCancelled:
        return OrderCancelled(order_id=order.order_id)

    @ordering.performs(saga.mark_paid)
    async def mark_paid(paid: PaymentSucceeded, context: StepContext) -> OrderPaid:
        return OrderPaid(order_id=paid.order_id)

    @ordering.performs(saga.ship)
    async def ship(paid: OrderPaid, context: StepContext) -> OrderShipped:
        context.resource(Shop).shipped.append(paid.order_id)
        return OrderShipped(order_id=paid.order_id)

    return ordering


def _payment(saga: type[Ordering | OriginalOrdering]) -> Service:
    payment = Service("payment")

    @payment.performs(saga.pay)
    async def pay(
        confirmed: StockConfirmed, context: StepContext
    ) -> PaymentSucceeded | PaymentFailed:
        if confirmed.order_id in context.resource(Shop).poor:
            return PaymentFailed(order_id=confirmed.order_id)
        return PaymentSucceeded(order_id=confirmed.order_id)

    return payment


catalog = Service("catalog")


@catalog.performs(Ordering.reserve_stock)
async def reserve(
    order: AwaitingValidation, context: StepContext
) -> StockConfirmed | StockRejected:
    shop = context.resource(Shop)
    if shop.reserved.total() >= shop.stock:
        return StockRejected(order_id=order.order_id)
    shop.reserved[order.order_id] = 1
    return StockConfirmed(order_id=order.order_id)


@catalog.undoes(Ordering.reserve_stock)
async def release(
    order: AwaitingValidation, reserved: StockConfirmed | None, context: StepContext
) -> StockReleased:
    context.resource(Shop).reserved.pop(order.order_id, None)
    return StockReleased(order_id=order.order_id)


original_catalog = Service("catalog")
original_catalog.completes(OriginalOrdering.check_stock)


@original_catalog.performs(OriginalOrdering.take_stock)
async def take(paid: OrderPaid, context: StepContext) -> StockTaken:
    context.resource(Shop).reserved[paid.order_id] = 1
    return StockTaken(order_id=paid.order_id)


@original_catalog.observes(AwaitingValidation)
async def look(order: AwaitingValidation, context: EventContext) -> None:
    """It has a look at the shelf, and says so only if there is something on it."""


PROPER = (_ordering(Ordering), catalog, _payment(Ordering))
ORIGINAL = (_ordering(OriginalOrdering), original_catalog, _payment(OriginalOrdering))


def _shop(seed: int) -> Shop:
    draw = random.Random(f"eshop {seed}")
    poor = frozenset(f"o-{n}" for n in range(1, 6) if draw.random() < 0.2)
    return Shop(stock=draw.choice([0, 1, 1, 10]), poor=poor)


def _start(number: int) -> OrderStarted:
    return OrderStarted(order_id=f"o-{number}")


def _balanced(shop: Shop) -> Iterator[str]:
    if shop.reserved.total() > shop.stock:
        yield f"sold {shop.reserved.total()} pieces of {shop.stock}: {sorted(shop.reserved)}"
    if set(shop.shipped) != set(shop.reserved):
        yield f"shipped {sorted(shop.shipped)}, reserved for {sorted(shop.reserved)}"


def eshop(seed: int) -> Setting:
    """Several orders want the last piece."""
    shop = _shop(seed)
    return Setting(
        services=PROPER,
        starts=_start,
        resources={one.name: [MemoryJournal(), shop] for one in PROPER},
        check=lambda: _balanced(shop),
    )


def eshop_original(seed: int) -> Setting:
    """The same shop by the original's rules: the catalog looks, and is silent where it should refuse."""
    shop = _shop(seed)

    def word(saga_id: str) -> Event | None:
        """What the catalog publishes when it has looked: nothing, if the shelf is empty."""
        there = shop.reserved.total() < shop.stock
        return StockConfirmed(order_id=saga_id) if there else None

    return Setting(
        services=ORIGINAL,
        starts=_start,
        answers={OriginalOrdering.check_stock: word},
        resources={one.name: [MemoryJournal(), shop] for one in ORIGINAL},
        check=lambda: _balanced(shop),
    )
