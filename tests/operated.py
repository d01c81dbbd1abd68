"""Sagas in a table in memory, for tests of what people see and ask: no service runs."""

from __future__ import annotations

from itertools import count

from pydantic import BaseModel

from sagas import Event, Personal, Saga, Start, Step
from sagas.core.definition import SAGA_PARKED, Direction, Role
from sagas.core.evolve import evolve
from sagas.core.framework_events import SagaParked
from sagas.core.instance import Fact, Instance
from sagas.ports import RowChange, Stamp
from sagas.restoring import ListedTable
from sagas.wire.envelope import Envelope, Trail
from sagas.wire.stored import encode_event, encode_instance

__all__ = ["DEFINED", "Billing", "Ordering", "Shop", "an_order"]


class Customer(BaseModel):
    """Who ordered."""

    number: int = 7
    email: Personal[str] = ""


class OrderPlaced(Event, type="orders.OrderPlaced.v1"):
    order_id: str
    note: str = ""
    customer: Customer = Customer()


class OrderCancelled(Event, type="orders.OrderCancelled.v1"):
    order_id: str


class StockReserved(Event, type="inventory.StockReserved.v1"):
    order_id: str


class StockReleased(Event, type="inventory.StockReleased.v1"):
    order_id: str


class PaymentCaptured(Event, type="payments.PaymentCaptured.v1"):
    order_id: str


class Ordering(Saga):
    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=OrderCancelled, state="CREATED")
    reserve_stock = Step(
        by="inventory", on=OrderPlaced, done=StockReserved, undone=StockReleased, state="RESERVED"
    )
    capture_payment = Step(
        by="payments", on=StockReserved, done=PaymentCaptured, pivot=True, state="PAID"
    )


class Billing(Saga):
    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=OrderCancelled)
    capture_payment = Step(by="payments", on=OrderPlaced, done=PaymentCaptured, pivot=True)


DEFINED = (Ordering, Billing)
_tokens = count()


class Order(BaseModel):
    """A saga to be kept: the events behind its start, and what is in them."""

    saga_id: str
    events: tuple[str, ...]
    note: str
    email: str
    tenant: str | None
    parked: str | None


def an_order(
    saga_id: str,
    *events: str,
    saga: type[Saga] = Ordering,
    note: str = "",
    email: str = "",
    tenant: str | None = None,
    parked: str | None = None,
) -> Order:
    """Placed, and then what the named events say; ``parked`` is the error that it stopped with."""
    known = {type_.split(".")[1]: type_ for type_ in saga.events}
    return Order(
        saga_id=saga_id,
        events=tuple(known[name] for name in ("OrderPlaced", *events)),
        note=note,
        email=email,
        tenant=tenant,
        parked=parked,
    )


class Shop:
    """A table, and how orders come into it."""

    def __init__(self, table: ListedTable) -> None:
        self.table = table

    async def keep(
        self, order: Order, at_ms: int = 1_000, *, saga: type[Saga] = Ordering
    ) -> Instance:
        """Store the order as workers would have."""
        instance, events = Instance(saga.definition, order.saga_id), {}
        placed = OrderPlaced(
            order_id=order.saga_id, note=order.note, customer=Customer(email=order.email)
        )
        for number, type_ in enumerate(order.events):
            outcome = saga.definition.outcome_of[type_]
            cause = str(number - 1) if number else None
            fact = Fact(
                *(str(number), type_, outcome.step, outcome.role, cause),
                published=True,
                at_ms=at_ms + number,
            )
            event = placed if not number else StockReserved(order_id=order.saga_id)
            instance = evolve(instance, fact)
            events[fact.slot] = _stored(order, fact, event)
        if order.parked is not None:
            parked = SagaParked(
                step="capture_payment",
                direction=Direction.FORWARD,
                error=order.parked,
                attempts=3,
            )
            fact = Fact("p", SAGA_PARKED, "capture_payment", Role.PARKED, "0", at_ms=at_ms + 9)
            instance = evolve(instance, fact)
            events[fact.slot] = _stored(order, fact, parked)
        await self._store(instance, events, at_ms)
        return instance

    async def _store(self, instance: Instance, events: dict[str, bytes], at_ms: int) -> None:
        stored = await self.table.store(
            RowChange(
                saga=instance.definition.saga,
                saga_id=instance.saga_id,
                expected=None,
                stamp=Stamp(1, 1),
                status=instance.status.value,
                state=encode_instance(instance),
                events=events,
                at_ms=at_ms,
                token=f"token-{next(_tokens)}",
            )
        )
        assert stored

    async def damage(self, saga_id: str) -> None:
        """Store what nobody of ours has written."""
        await self.table.store(
            RowChange(
                *("ordering", saga_id, None, Stamp(1, 1), "RUNNING", b"?", {}, 5),
                f"token-{next(_tokens)}",
            )
        )


def _stored(order: Order, fact: Fact, event: Event) -> bytes:
    return encode_event(
        Envelope(
            *(fact.id, fact.type, fact.type.split(".")[0], fact.at_ms, "", order.saga_id),
            event.model_dump_json().encode(),
            trail=Trail(order.saga_id, order.tenant),
        )
    )
