"""Uses that both type checkers must accept; importing it also runs the checks in words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Never, assert_type

from sagas import (
    CONTINUE,
    NEVER,
    Completion,
    Event,
    EventContext,
    Retry,
    SagaEnded,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    seconds,
    upcasts,
)
from sagas.core.combinations import AllOf
from sagas.core.steps import NothingToUndo
from sagas.runtime.client import SagaClient
from sagas.runtime.operator import Outlook
from tests.typing.declared import (
    Chosen,
    Confirmed,
    Contested,
    Delivery,
    Gift,
    Joined,
    Known,
    Late,
    Merged,
    Paid,
    Placed,
    Recalled,
    Refunded,
    Regretted,
    Sale,
    Sent,
    Shipped,
    Standard,
    Told,
    Unjoined,
    Unpaid,
    Unplaced,
    Unshippable,
    Vetoed,
)

__all__ = ["late", "shop"]

shop = Service("shop")


@shop.lifespan
@asynccontextmanager
async def resources() -> AsyncIterator[tuple[object, ...]]:
    yield ("a session factory", 3)


# --- steps ----------------------------------------------------------------------------------------


@shop.performs(Sale.pay)
async def pay(placed: Placed, context: StepContext) -> Paid | Unpaid:
    assert_type(context.resource(str), str)
    if context.attempt > 1:
        return Unpaid(sale_id=placed.sale_id)
    return Paid(sale_id=placed.sale_id)


@shop.undoes(Sale.pay)
async def refund(placed: Placed, paid: Paid | None, context: StepContext) -> Refunded:
    assert_type(context.because, Event | None)
    return Refunded(sale_id=placed.sale_id)


@shop.performs(Sale.choose)
def choose(placed: Placed, context: StepContext) -> Gift | Standard:
    return Gift(sale_id=placed.sale_id)


@shop.performs(Sale.merge)
async def merge(branch: Gift | Standard, context: StepContext) -> Merged:
    return Merged(sale_id=branch.sale_id)


@shop.performs(Sale.join)
async def join(paid: Paid, merged: Merged, context: StepContext) -> Joined:
    return Joined(sale_id=paid.sale_id)


@shop.undoes(Sale.join)
def unjoin(paid: Paid, merged: Merged, joined: Joined | None, context: StepContext) -> Unjoined:
    return Unjoined(sale_id=paid.sale_id)


@shop.performs(Sale.send)
async def send(joined: Joined, context: StepContext) -> Sent:
    return Sent(sale_id=joined.sale_id)


@shop.performs(Sale.tell)
async def tell(sent: Sent, context: StepContext) -> Told:
    assert_type(context.read(Placed), Placed)
    return Told(sale_id=sent.sale_id)


@shop.undoes(Sale.start)
async def unplace(placed: Placed, context: StepContext) -> Unplaced:
    return Unplaced(sale_id=placed.sale_id)


def told(known: Known) -> str:
    assert_type(known.email, str)
    assert_type(known.phone, str | None)
    return known.email


# --- handlers that ask for less, or promise less --------------------------------------------------

other = Service("shop")


@other.performs(Sale.pay)
async def always_paid(event: Event, context: EventContext) -> Paid:
    return Paid(sale_id=context.saga_id)


@other.undoes(Sale.pay)
async def refund_anything(event: Event, outcome: Event | None, context: EventContext) -> Refunded:
    return Refunded(sale_id=context.saga_id)


class Till:
    async def send(self, joined: Joined, context: StepContext) -> Sent:
        return Sent(sale_id=joined.sale_id)


other.performs(Sale.send)(Till().send)
other.performs(Sale.merge)(merge)


# --- otherwise ------------------------------------------------------------------------------------

late = Service("shop")


@late.performs(Delivery.ship)
async def ship(placed: Placed, context: StepContext) -> Shipped | Unshippable | Late:
    return Late(sale_id=placed.sale_id)


@late.undoes(Delivery.ship)
async def recall(placed: Placed, shipped: Shipped | None, context: StepContext) -> Recalled:
    return Recalled(sale_id=placed.sale_id)


@late.performs(Delivery.tell)
def tell_late(placed: Placed, late: Late, context: StepContext) -> Told | Sent:
    return Told(sale_id=placed.sale_id)


elsewhere = Service("shop")


@elsewhere.performs(Delivery.ship)
async def always_shipped(placed: Placed, context: StepContext) -> Shipped:
    return Shipped(sale_id=placed.sale_id)


# --- waits ----------------------------------------------------------------------------------------

confirmed = late.completes(Delivery.confirm)
assert_type(confirmed("1", Confirmed(sale_id="1")), Completion)
assert_type(confirmed("1", Contested(sale_id="1")), Completion)
late.completes(Delivery.choose)("1", Gift(sale_id="1"))


async def complete(client: SagaClient, either: Confirmed | Contested) -> None:
    await client.complete(Delivery.confirm, "1", Confirmed(sale_id="1"))
    await client.complete(Delivery.confirm, "1", Contested(sale_id="1"))
    await client.complete(Delivery.confirm, "1", either)
    assert_type(await client.cancel(Delivery, "1", by="ada", why="no"), Outlook | None)
    assert_type(await client.cancel_by(Regretted(sale_id="1"), within=None), None)
    await client.complete(Delivery.choose, 1, Standard(sale_id="1"), within=None)
    await client.tell(late.completes(Delivery.confirm)("1", either))


# --- times and retries ----------------------------------------------------------------------------

Step(by="shop", on=Placed, done=Paid, timeout=timedelta(minutes=1), retry=Retry(on=OSError))
Step(by="shop", on=Placed, done=Paid, timeout=NEVER, retry=None)
Step(by="shop", on=Placed, done=Paid, undone=Refunded, if_undo_fails=CONTINUE)
Retry(attempts=5, backoff=seconds(1), factor=2, never_on=(KeyError, ValueError))


# --- observers ------------------------------------------------------------------------------------


@shop.observes(Unpaid)
async def look(unpaid: Unpaid, context: EventContext) -> None: ...


@shop.observes(Paid, Unpaid, Refunded)
def look_again(event: Paid | Unpaid | Refunded, context: EventContext) -> None: ...


@shop.observes(Sale.ended)
async def look_back(ended: SagaEnded, context: EventContext) -> None:
    assert_type(ended.saga_id, str)


# --- what is known of declarations and of decorated functions -------------------------------------


def reveal(context: StepContext) -> None:
    assert_type(Sale.start, Start[Placed, Unplaced])
    assert_type(Sale.pay, Step[Placed, Paid, Unpaid, Never, Refunded])
    assert_type(Sale.choose, Step[Placed, Chosen, Never, Never, NothingToUndo])
    assert_type(Sale.merge, Step[Chosen, Merged, Never, Never, NothingToUndo])
    assert_type(Sale.join, Step[AllOf[Paid, Merged], Joined, Never, Never, Unjoined])
    assert_type(Sale.send, Step[Joined, Sent, Never, Never, NothingToUndo])
    assert_type(Delivery.ship, Step[Placed, Shipped, Unshippable, Late, Recalled])
    assert_type(Delivery.tell, Step[AllOf[Placed, Late], Told, Never, Sent, NothingToUndo])
    assert_type(Delivery.confirm, Wait[Confirmed | Contested])
    assert_type(Delivery.choose, Wait[Gift | Standard])
    assert_type(Delivery.grace, Wait[Never])
    assert_type(Delivery.veto, Wait[Vetoed])
    assert_type(Delivery.retries["ship"].delay_s(1, 0.5), float | None)
    assert_type(pay, Callable[[Placed, StepContext], Coroutine[Any, Any, Paid | Unpaid]])
    assert_type(choose, Callable[[Placed, StepContext], Gift | Standard])


async def call(context: StepContext) -> None:
    assert_type(await pay(Placed(sale_id="1"), context), Paid | Unpaid)
    assert_type(choose(Placed(sale_id="1"), context), Chosen)
    assert_type(await refund(Placed(sale_id="1"), None, context), Refunded)


# --- versions of an event ---------------------------------------------------------------------------


class PaidInEuros(Event, type="shop.Paid.v2"):
    sale_id: str
    euros: int

    @staticmethod
    @upcasts(Paid)
    def of_paid(old: Paid) -> PaidInEuros:
        return PaidInEuros(sale_id=old.sale_id, euros=0)


def told_as_before() -> None:
    assert_type(PaidInEuros.as_before(Paid(sale_id="1")), PaidInEuros)
    assert_type(PaidInEuros.of_paid(Paid(sale_id="1")), PaidInEuros)
