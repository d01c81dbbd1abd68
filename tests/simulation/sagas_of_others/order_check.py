"""Google's Pub/Sub example: an order is created, checked, and accepted or rejected; duplicates abound."""

from __future__ import annotations

import random
from collections.abc import Iterator

from sagas import Event, EventContext, Saga, Service, Start, Step, StepContext
from sagas.adapters.memory.journal import MemoryJournal
from sagas.testing.simulation import Setting

__all__ = ["OrderCheck", "order_check"]


class OrderCreated(Event, type="orders.OrderCreated.v1"):
    order_id: str
    amount: int


class OrderAccepted(Event, type="customers.OrderAccepted.v1"):
    order_id: str


class OrderRejected(Event, type="customers.OrderRejected.v1"):
    order_id: str


class OrderWithdrawn(Event, type="orders.OrderWithdrawn.v1"):
    order_id: str


class OrderCheck(Saga):
    key = "order_id"
    start = Start(OrderCreated, by="orders", undone=OrderWithdrawn, state="PENDING")
    check = Step(
        by="customers", on=OrderCreated, done=OrderAccepted, refused=OrderRejected, pivot=True,
        state="ACCEPTED",
    )  # fmt: skip


class Seen(set[str]):
    """The orders of whose acceptance, or rejection, the observer was told; told twice is told."""


orders, customers = Service("orders"), Service("customers")


@customers.performs(OrderCheck.check)
def check(order: OrderCreated, context: StepContext) -> OrderAccepted | OrderRejected:
    accepted = order.amount <= 100
    return (OrderAccepted if accepted else OrderRejected)(order_id=order.order_id)


@orders.undoes(OrderCheck.start)
def withdraw(order: OrderCreated, context: StepContext) -> OrderWithdrawn:
    return OrderWithdrawn(order_id=order.order_id)


@orders.observes(OrderAccepted, OrderRejected)
async def note(answer: OrderAccepted | OrderRejected, context: EventContext) -> None:
    context.resource(Seen).add(answer.order_id)


def order_check(seed: int) -> Setting:
    """Every answer reaches whoever observes it, at least once."""
    draw, told = random.Random(f"check {seed}"), Seen()
    amounts = {f"o-{n}": draw.choice([10, 1_000]) for n in range(1, 10)}
    started: list[str] = []

    def start(number: int) -> OrderCreated:
        started.append(f"o-{number}")
        return OrderCreated(order_id=f"o-{number}", amount=amounts[f"o-{number}"])

    def all_told() -> Iterator[str]:
        if missing := set(started) - told:
            yield f"the answer to {sorted(missing)} reached nobody"

    return Setting(
        services=[orders, customers],
        starts=start,
        resources={"orders": [MemoryJournal(), told], "customers": [MemoryJournal()]},
        check=all_told,
    )
