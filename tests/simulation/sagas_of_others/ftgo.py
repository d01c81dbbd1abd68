"""Create, cancel and revise an order, from Microservices Patterns: three sagas contend for one order.

What keeps them apart is the semantic lock: the order's state says that a saga has it, and another saga's
first step is refused.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sagas import (
    NOTHING,
    Event,
    Locks,
    Saga,
    Service,
    Start,
    Step,
    StepContext,
    Unlocks,
    Writes,
    seconds,
)
from sagas.adapters.memory.journal import MemoryJournal
from sagas.testing.simulation import Setting

__all__ = ["CancelOrder", "CreateOrder", "ReviseOrder", "ftgo"]


class _OfOrder(Event):
    request_id: str
    order_id: str


class OrderCreated(_OfOrder, type="orders.OrderCreated.v1"): ...


class OrderRejected(_OfOrder, type="orders.OrderRejected.v1"): ...


class ConsumerVerified(_OfOrder, type="consumers.ConsumerVerified.v1"): ...


class ConsumerUnknown(_OfOrder, type="consumers.ConsumerUnknown.v1"): ...


class TicketCreated(_OfOrder, type="kitchen.TicketCreated.v1"): ...


class TicketCancelled(_OfOrder, type="kitchen.TicketCancelled.v1"): ...


class CardAuthorized(_OfOrder, type="accounting.CardAuthorized.v1"): ...


class CardRefused(_OfOrder, type="accounting.CardRefused.v1"): ...


class TicketConfirmed(_OfOrder, type="kitchen.TicketConfirmed.v1"): ...


class OrderApproved(_OfOrder, type="orders.OrderApproved.v1"): ...


class CreateOrder(Saga):
    key = "request_id"
    step_timeout = seconds(20)
    start = Start(
        OrderCreated,
        by="orders",
        undone=OrderRejected,
        state="APPROVAL_PENDING",
        data=Locks("order"),
    )
    validate_order = Step(
        by="consumers", on=OrderCreated, done=ConsumerVerified, refused=ConsumerUnknown,
        undone=NOTHING,
    )  # fmt: skip
    create_ticket = Step(
        by="kitchen", on=ConsumerVerified, done=TicketCreated, undone=TicketCancelled,
        data=Writes("ticket"),
    )  # fmt: skip
    authorize_card = Step(
        by="accounting", on=TicketCreated, done=CardAuthorized, refused=CardRefused, pivot=True
    )
    confirm_ticket = Step(
        by="kitchen", on=CardAuthorized, done=TicketConfirmed, data=Writes("ticket")
    )
    approve_order = Step(
        by="orders", on=TicketConfirmed, done=OrderApproved, state="APPROVED", data=Unlocks("order")
    )


class CancellationRequested(_OfOrder, type="orders.CancellationRequested.v1"): ...


class CancellationBegun(_OfOrder, type="orders.CancellationBegun.v1"): ...


class CancellationRefused(_OfOrder, type="orders.CancellationRefused.v1"): ...


class CancellationUndone(_OfOrder, type="orders.CancellationUndone.v1"): ...


class TicketWithdrawn(_OfOrder, type="kitchen.TicketWithdrawn.v1"): ...


class TicketTooLate(_OfOrder, type="kitchen.TicketTooLate.v1"): ...


class OrderCancelled(_OfOrder, type="orders.OrderCancelled.v1"): ...


class CancelOrder(Saga):
    key = "request_id"
    step_timeout = seconds(20)
    start = Start(CancellationRequested, by="orders", undone=NOTHING)
    begin_cancel = Step(
        by="orders", on=CancellationRequested, done=CancellationBegun,
        refused=CancellationRefused, undone=CancellationUndone, data=Locks("order"),
    )  # fmt: skip
    withdraw_ticket = Step(
        by="kitchen", on=CancellationBegun, done=TicketWithdrawn, refused=TicketTooLate, pivot=True,
        data=Writes("ticket"),
    )  # fmt: skip
    confirm_cancel = Step(
        by="orders",
        on=TicketWithdrawn,
        done=OrderCancelled,
        state="CANCELLED",
        data=Unlocks("order"),
    )


class RevisionRequested(_OfOrder, type="orders.RevisionRequested.v1"): ...


class RevisionBegun(_OfOrder, type="orders.RevisionBegun.v1"): ...


class RevisionRefused(_OfOrder, type="orders.RevisionRefused.v1"): ...


class RevisionUndone(_OfOrder, type="orders.RevisionUndone.v1"): ...


class TicketRevised(_OfOrder, type="kitchen.TicketRevised.v1"): ...


class TicketNotRevised(_OfOrder, type="kitchen.TicketNotRevised.v1"): ...


class OrderRevised(_OfOrder, type="orders.OrderRevised.v1"): ...


class ReviseOrder(Saga):
    key = "request_id"
    step_timeout = seconds(20)
    start = Start(RevisionRequested, by="orders", undone=NOTHING)
    begin_revise = Step(
        by="orders", on=RevisionRequested, done=RevisionBegun, refused=RevisionRefused,
        undone=RevisionUndone, data=Locks("order"),
    )  # fmt: skip
    revise_ticket = Step(
        by="kitchen", on=RevisionBegun, done=TicketRevised, refused=TicketNotRevised, pivot=True,
        data=Writes("ticket"),
    )  # fmt: skip
    confirm_revise = Step(by="orders", on=TicketRevised, done=OrderRevised, data=Unlocks("order"))


@dataclass
class Kept:
    """The order that all three want, with who has the lock, and what became of its ticket."""

    lock: str | None = None
    state: str = "NEW"
    ticket: str = "NONE"
    locked_by: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    lockless: bool = False

    def take(self, request_id: str) -> bool:
        """The semantic lock: whoever comes while somebody has it is refused."""
        if self.lockless:
            return True
        if self.lock is not None or self.state != "APPROVED":
            return False
        self.lock = request_id
        return True

    def give_back(self, request_id: str) -> None:
        if self.lock == request_id:
            self.lock = None


orders, consumers = Service("orders"), Service("consumers")
kitchen, accounting = Service("kitchen"), Service("accounting")


def _of(event: _OfOrder) -> dict[str, str]:
    return {"request_id": event.request_id, "order_id": event.order_id}


@consumers.performs(CreateOrder.validate_order)
async def validate(order: OrderCreated, context: StepContext) -> ConsumerVerified | ConsumerUnknown:
    return ConsumerVerified(**_of(order))


@kitchen.performs(CreateOrder.create_ticket)
async def create_ticket(order: ConsumerVerified, context: StepContext) -> TicketCreated:
    context.resource(Kept).ticket = "PENDING"
    return TicketCreated(**_of(order))


@kitchen.undoes(CreateOrder.create_ticket)
async def cancel_ticket(
    order: ConsumerVerified, created: TicketCreated | None, context: StepContext
) -> TicketCancelled:
    context.resource(Kept).ticket = "CANCELLED"
    return TicketCancelled(**_of(order))


@accounting.performs(CreateOrder.authorize_card)
async def authorize(ticket: TicketCreated, context: StepContext) -> CardAuthorized | CardRefused:
    poor = context.resource(Kept).state == "POOR"
    return CardRefused(**_of(ticket)) if poor else CardAuthorized(**_of(ticket))


@kitchen.performs(CreateOrder.confirm_ticket)
async def confirm_ticket(card: CardAuthorized, context: StepContext) -> TicketConfirmed:
    context.resource(Kept).ticket = "CONFIRMED"
    return TicketConfirmed(**_of(card))


@orders.performs(CreateOrder.approve_order)
async def approve(ticket: TicketConfirmed, context: StepContext) -> OrderApproved:
    context.resource(Kept).state = "APPROVED"
    return OrderApproved(**_of(ticket))


@orders.undoes(CreateOrder.start)
async def reject(order: OrderCreated, context: StepContext) -> OrderRejected:
    context.resource(Kept).state = "REJECTED"
    return OrderRejected(**_of(order))


@orders.performs(CancelOrder.begin_cancel)
async def begin_cancel(
    asked: CancellationRequested, context: StepContext
) -> CancellationBegun | CancellationRefused:
    taken = context.resource(Kept).take(asked.request_id)
    return CancellationBegun(**_of(asked)) if taken else CancellationRefused(**_of(asked))


@orders.undoes(CancelOrder.begin_cancel)
async def undo_cancel(
    asked: CancellationRequested, begun: CancellationBegun | None, context: StepContext
) -> CancellationUndone:
    context.resource(Kept).give_back(asked.request_id)
    return CancellationUndone(**_of(asked))


@kitchen.performs(CancelOrder.withdraw_ticket)
async def withdraw(
    begun: CancellationBegun, context: StepContext
) -> TicketWithdrawn | TicketTooLate:
    context.resource(Kept).ticket = "WITHDRAWN"
    return TicketWithdrawn(**_of(begun))


@orders.performs(CancelOrder.confirm_cancel)
async def confirm_cancel(withdrawn: TicketWithdrawn, context: StepContext) -> OrderCancelled:
    kept = context.resource(Kept)
    if not kept.lockless and kept.lock != withdrawn.request_id:
        kept.broken.append(f"{withdrawn.request_id} cancels, but {kept.lock} has the order")
    kept.state = "CANCELLED"
    kept.give_back(withdrawn.request_id)
    return OrderCancelled(**_of(withdrawn))


@orders.performs(ReviseOrder.begin_revise)
async def begin_revise(
    asked: RevisionRequested, context: StepContext
) -> RevisionBegun | RevisionRefused:
    taken = context.resource(Kept).take(asked.request_id)
    return RevisionBegun(**_of(asked)) if taken else RevisionRefused(**_of(asked))


@orders.undoes(ReviseOrder.begin_revise)
async def undo_revise(
    asked: RevisionRequested, begun: RevisionBegun | None, context: StepContext
) -> RevisionUndone:
    context.resource(Kept).give_back(asked.request_id)
    return RevisionUndone(**_of(asked))


@kitchen.performs(ReviseOrder.revise_ticket)
async def revise_ticket(
    begun: RevisionBegun, context: StepContext
) -> TicketRevised | TicketNotRevised:
    kept = context.resource(Kept)
    if kept.ticket == "WITHDRAWN":
        kept.broken.append(f"{begun.request_id} revises a ticket that was withdrawn")
    return TicketRevised(**_of(begun))


@orders.performs(ReviseOrder.confirm_revise)
async def confirm_revise(revised: TicketRevised, context: StepContext) -> OrderRevised:
    kept = context.resource(Kept)
    if not kept.lockless and kept.lock != revised.request_id:
        kept.broken.append(f"{revised.request_id} revises, but {kept.lock} has the order")
    kept.give_back(revised.request_id)
    return OrderRevised(**_of(revised))


def ftgo(seed: int, *, lockless: bool = False, sagas: int = 5) -> Setting:
    """One order that exists, or is to be created first, and requests that want to change it at once."""
    draw = random.Random(f"ftgo {seed}")
    kept = Kept(lockless=lockless, state=draw.choice(["NEW", "APPROVED", "APPROVED", "POOR"]))
    creates = kept.state != "APPROVED"
    kinds = [draw.choice([CancellationRequested, RevisionRequested]) for _ in range(sagas + 1)]

    def start(number: int) -> Event:
        if number == 1 and creates:
            return OrderCreated(request_id="r-1", order_id="o-1")
        return kinds[number](request_id=f"r-{number}", order_id="o-1")

    def balanced() -> Iterator[str]:
        yield from kept.broken
        if kept.lock is not None:
            yield f"{kept.lock} still has the order"

    shared = (orders, consumers, kitchen, accounting)
    return Setting(
        services=shared,
        starts=start,
        resources={service.name: [MemoryJournal(), kept] for service in shared},
        check=balanced,
    )
