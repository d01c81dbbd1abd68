"""The checkout of Online Marketplace (Laigner and others, SIGMOD 2025), as far as its declaration goes.

Stock may be reserved in part; customer and seller keep books and are no steps.
"""

from __future__ import annotations

from sagas import (
    AnyOf,
    Event,
    EventContext,
    Guard,
    OneOf,
    Saga,
    Service,
    Start,
    Step,
    Wait,
    Writes,
    days,
    minutes,
    seconds,
)

__all__ = ["Checkout", "customer", "seller"]


class OfOrder(Event):
    order_id: str


class CheckoutRequested(OfOrder, type="cart.CheckoutRequested.v1"): ...


class CartReopened(OfOrder, type="cart.CartReopened.v1"): ...


class StockReserved(OfOrder, type="stock.StockReserved.v1"): ...


class StockPartlyReserved(OfOrder, type="stock.StockPartlyReserved.v1"): ...


class StockUnavailable(OfOrder, type="stock.StockUnavailable.v1"): ...


class StockReleased(OfOrder, type="stock.StockReleased.v1"): ...


class StockSold(OfOrder, type="stock.StockSold.v1"): ...


class InvoiceIssued(OfOrder, type="order.InvoiceIssued.v1"): ...


class InvoiceCancelled(OfOrder, type="order.InvoiceCancelled.v1"): ...


class PaymentConfirmed(OfOrder, type="payment.PaymentConfirmed.v1"): ...


class PaymentFailed(OfOrder, type="payment.PaymentFailed.v1"): ...


class ShipmentCreated(OfOrder, type="shipment.ShipmentCreated.v1"): ...


class Delivered(OfOrder, type="shipment.Delivered.v1"): ...


class DeliveryAssumed(OfOrder, type="shipment.DeliveryAssumed.v1"): ...


class Checkout(Saga):
    key = "order_id"
    deadline = minutes(10)
    step_timeout = seconds(30)
    ends_with = StockSold

    start = Start(CheckoutRequested, by="cart", undone=CartReopened)
    reserve = Step(
        by="stock", on=CheckoutRequested, done=OneOf(StockReserved, StockPartlyReserved),
        refused=StockUnavailable, undone=StockReleased,
        data=Writes("pieces", guard=Guard.COMMUTATIVE),
    )  # fmt: skip
    invoice = Step(
        by="order", on=AnyOf(StockReserved, StockPartlyReserved), done=InvoiceIssued,
        undone=InvoiceCancelled,
    )  # fmt: skip
    pay = Step(
        by="payment", on=InvoiceIssued, done=PaymentConfirmed, refused=PaymentFailed, pivot=True
    )
    sell = Step(
        by="stock", on=PaymentConfirmed, done=StockSold,
        data=Writes("pieces", guard=Guard.COMMUTATIVE),
    )  # fmt: skip
    ship = Step(by="shipment", on=PaymentConfirmed, done=ShipmentCreated)
    deliver = Wait(
        by="shipment",
        on=ShipmentCreated,
        done=Delivered,
        timeout=days(5),
        otherwise=DeliveryAssumed,
    )


customer, seller = Service("customer"), Service("seller")


@customer.observes(PaymentConfirmed, PaymentFailed, Delivered)
async def count(event: OfOrder, context: EventContext) -> None: ...


@seller.observes(InvoiceIssued, ShipmentCreated, Delivered, DeliveryAssumed)
async def show(event: OfOrder, context: EventContext) -> None: ...
