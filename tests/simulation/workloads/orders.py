"""The reference saga with participants in memory: stock and money, counted in their own books."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockReleased, StockReserved, StockUnavailable
from events.notifications import CustomerNotified
from events.orders import OrderCancelled, OrderLine, OrderPlaced
from events.payments import PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentVoided
from events.shipping import ShipmentCreated
from sagas import Service, StepContext
from sagas.adapters.memory.journal import MemoryJournal
from sagas.testing.simulation import Setting

__all__ = ["SERVICES", "Ledger", "Warehouse", "orders_workload"]


@dataclass
class Warehouse:
    """Pieces of one article: what there is, and what is set aside for whom."""

    pieces: int
    held: Counter[str] = field(default_factory=Counter)
    sent: set[str] = field(default_factory=set)


@dataclass
class Ledger:
    """Cents blocked and taken, by order; who may spend nothing is declined."""

    poor: frozenset[str]
    blocked: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)


orders, inventory = Service("orders"), Service("inventory")
payments, shipping, notifications = (
    Service(name) for name in ("payments", "shipping", "notifications")
)
SERVICES = (orders, inventory, payments, shipping, notifications)


@orders.undoes(OrderFulfilment.start)
async def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
    return OrderCancelled(order_id=order.order_id, reason="it did not work out")


@inventory.performs(OrderFulfilment.reserve_stock)
async def reserve(order: OrderPlaced, context: StepContext) -> StockReserved | StockUnavailable:
    warehouse = context.resource(Warehouse)
    wanted = sum(line.quantity for line in order.lines)
    if wanted > warehouse.pieces - warehouse.held.total():
        return StockUnavailable(
            order_id=order.order_id, customer_id=order.customer_id, missing=("box",)
        )
    warehouse.held[order.order_id] += wanted
    return StockReserved(
        order_id=order.order_id, customer_id=order.customer_id, amount_cents=order.amount_cents
    )


@inventory.undoes(OrderFulfilment.reserve_stock)
async def release(
    order: OrderPlaced, reserved: StockReserved | None, context: StepContext
) -> StockReleased:
    held = context.resource(Warehouse).held
    return StockReleased(order_id=order.order_id, pieces=held.pop(order.order_id, 0))


@payments.performs(OrderFulfilment.authorize_payment)
async def authorize(
    reserved: StockReserved, context: StepContext
) -> PaymentAuthorized | PaymentDeclined:
    ledger, id_ = context.resource(Ledger), reserved.order_id
    given = {"order_id": id_, "customer_id": reserved.customer_id}
    if id_ in ledger.poor:
        return PaymentDeclined(
            **given, amount_cents=reserved.amount_cents, reason="the card is empty"
        )
    ledger.blocked[id_] += reserved.amount_cents
    return PaymentAuthorized(**given, amount_cents=reserved.amount_cents)


@payments.undoes(OrderFulfilment.authorize_payment)
async def void(
    reserved: StockReserved, authorized: PaymentAuthorized | None, context: StepContext
) -> PaymentVoided:
    blocked = context.resource(Ledger).blocked
    return PaymentVoided(order_id=reserved.order_id, amount_cents=blocked.pop(reserved.order_id, 0))


@payments.performs(OrderFulfilment.capture_payment)
def capture(shipment: ShipmentCreated, context: StepContext) -> PaymentCaptured:
    ledger, id_ = context.resource(Ledger), shipment.order_id
    amount = context.read(OrderPlaced).amount_cents
    ledger.blocked.pop(id_, None)
    ledger.taken[id_] += amount
    return PaymentCaptured(order_id=id_, amount_cents=amount)


@shipping.performs(OrderFulfilment.create_shipment)
async def ship(paid: PaymentAuthorized, context: StepContext) -> ShipmentCreated:
    context.resource(Warehouse).sent.add(paid.order_id)
    return ShipmentCreated(
        order_id=paid.order_id, customer_id=paid.customer_id, tracking_number="P1"
    )


@notifications.performs(OrderFulfilment.notify_customer)
async def notify(shipment: ShipmentCreated, context: StepContext) -> CustomerNotified:
    return CustomerNotified(order_id=shipment.order_id, customer_id=shipment.customer_id)


def orders_workload(seed: int) -> Setting:
    """Some orders find the shelf empty, some customers have no money."""
    draw = random.Random(f"orders {seed}")
    ids = [f"o-{number}" for number in range(1, 20)]
    warehouse = Warehouse(pieces=draw.choice([0, 1, 3, 50]))
    ledger = Ledger(poor=frozenset(id_ for id_ in ids if draw.random() < 0.25))
    amounts = {id_: draw.randint(1, 900) for id_ in ids}

    def start(number: int) -> OrderPlaced:
        id_ = f"o-{number}"
        line = OrderLine(sku="box", quantity=1, unit_price_cents=amounts[id_])
        return OrderPlaced(order_id=id_, customer_id="c-1", lines=(line,))

    def balanced() -> Iterator[str]:
        """Goods and money add up: who has the parcel has paid for it, and nobody else has."""
        if warehouse.held.total() > warehouse.pieces:
            yield f"{warehouse.held.total()} pieces are set aside, there are {warehouse.pieces}"
        if set(warehouse.held) != warehouse.sent:
            yield f"set aside for {sorted(warehouse.held)}, sent to {sorted(warehouse.sent)}"
        if ledger.blocked.total():
            yield f"money is still blocked: {dict(ledger.blocked)}"
        right = {id_: amounts[id_] for id_ in warehouse.sent}
        if dict(ledger.taken) != right:
            yield f"{dict(ledger.taken)} cents were taken; right would be {right}"

    shared = {name: [MemoryJournal(), warehouse, ledger] for name in (one.name for one in SERVICES)}
    return Setting(services=SERVICES, starts=start, resources=shared, check=balanced)
