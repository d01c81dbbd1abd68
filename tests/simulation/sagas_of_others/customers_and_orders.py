"""Customers and orders, the choreography example of Eventuate Tram: credit is reserved for an order.

The cancellation of a pending order is refused there; here an operator's cancellation turns the saga back,
and the credit is released.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from sagas import Event, OneOf, Saga, Service, Start, Step, StepContext, seconds
from sagas.adapters.memory.journal import MemoryJournal
from sagas.testing.simulation import Setting

__all__ = ["CreateOrder", "customers_and_orders"]


class OrderCreated(Event, type="orders.OrderCreated.v1"):
    order_id: str
    customer_id: str
    total: int


class OrderRejected(Event, type="orders.OrderRejected.v1"):
    order_id: str
    reason: str


class OrderApproved(Event, type="orders.OrderApproved.v1"):
    order_id: str


class CustomerCreditReserved(Event, type="customers.CustomerCreditReserved.v1"):
    order_id: str


class CustomerCreditReservationFailed(Event, type="customers.CustomerCreditReservationFailed.v1"):
    order_id: str


class CustomerValidationFailed(Event, type="customers.CustomerValidationFailed.v1"):
    order_id: str


class CustomerCreditReleased(Event, type="customers.CustomerCreditReleased.v1"):
    order_id: str


class CreateOrder(Saga):
    key = "order_id"
    step_timeout = seconds(20)
    start = Start(OrderCreated, by="orders", undone=OrderRejected, state="PENDING")
    reserve_credit = Step(
        by="customers",
        on=OrderCreated,
        done=CustomerCreditReserved,
        refused=OneOf(CustomerCreditReservationFailed, CustomerValidationFailed),
        undone=CustomerCreditReleased,
    )
    approve = Step(
        by="orders", on=CustomerCreditReserved, done=OrderApproved, pivot=True, state="APPROVED"
    )


@dataclass
class Customers:
    limits: dict[str, int]
    reserved: dict[str, int] = field(default_factory=dict)


@dataclass
class Orders:
    approved: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)


orders, customers = Service("orders"), Service("customers")


@customers.performs(CreateOrder.reserve_credit)
async def reserve_credit(
    order: OrderCreated, context: StepContext
) -> CustomerCreditReserved | CustomerCreditReservationFailed | CustomerValidationFailed:
    known = context.resource(Customers)
    limit = known.limits.get(order.customer_id)
    if limit is None:
        return CustomerValidationFailed(order_id=order.order_id)
    if sum(known.reserved.values()) + order.total > limit:
        return CustomerCreditReservationFailed(order_id=order.order_id)
    known.reserved[order.order_id] = order.total
    return CustomerCreditReserved(order_id=order.order_id)


@customers.undoes(CreateOrder.reserve_credit)
async def release_credit(
    order: OrderCreated, reserved: CustomerCreditReserved | None, context: StepContext
) -> CustomerCreditReleased:
    context.resource(Customers).reserved.pop(order.order_id, None)
    return CustomerCreditReleased(order_id=order.order_id)


@orders.performs(CreateOrder.approve)
async def approve(reserved: CustomerCreditReserved, context: StepContext) -> OrderApproved:
    context.resource(Orders).approved[reserved.order_id] = 1
    return OrderApproved(order_id=reserved.order_id)


@orders.undoes(CreateOrder.start)
async def reject(order: OrderCreated, context: StepContext) -> OrderRejected:
    why = "cancelled" if context.because is None else type(context.because).__name__
    context.resource(Orders).rejected[order.order_id] = why
    return OrderRejected(order_id=order.order_id, reason=why)


def customers_and_orders(seed: int) -> Setting:
    """One customer with little credit, and sometimes one whom nobody knows."""
    draw = random.Random(f"customers {seed}")
    known = Customers(limits={"c-1": draw.choice([5, 15, 100])})
    kept = Orders()

    def start(number: int) -> OrderCreated:
        who = draw.choice(["c-1", "c-1", "c-1", "nobody"])
        return OrderCreated(order_id=f"o-{number}", customer_id=who, total=10)

    def balanced() -> Iterator[str]:
        if sum(known.reserved.values()) > known.limits["c-1"]:
            yield f"more credit is given than there is: {known.reserved}"
        if known.reserved.keys() != kept.approved.keys():
            yield f"credit is held for {sorted(known.reserved)}, approved: {sorted(kept.approved)}"
        if both := kept.approved.keys() & kept.rejected.keys():
            yield f"approved and rejected: {sorted(both)}"

    return Setting(
        services=[orders, customers],
        starts=start,
        resources={"orders": [MemoryJournal(), kept], "customers": [MemoryJournal(), known]},
        check=balanced,
    )
