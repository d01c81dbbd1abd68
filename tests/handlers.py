"""The services of the sample order fulfilment, with everything that they do written down."""

from __future__ import annotations

from dataclasses import dataclass, field

from sagas import EventContext, SagaEnded, Service, StepContext
from tests.samples import (
    CustomerNotified,
    OrderCancelled,
    OrderFulfilment,
    OrderPlaced,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentVoided,
    ShipmentCreated,
    StockReleased,
    StockReserved,
    StockUnavailable,
)

__all__ = ["Shop"]


@dataclass
class Shop:
    """Five services. ``declined`` are the orders whose payment is refused, ``done`` the effects."""

    declined: frozenset[str] = frozenset()
    done: list[str] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)

    @property
    def services(self) -> list[Service]:
        return [self.orders(), self.inventory(), self.payments(), *self.others()]

    def _did(self, what: str) -> None:
        self.done.append(what)

    def orders(self) -> Service:
        orders = Service("orders")

        @orders.undoes(OrderFulfilment.start)
        async def cancel(order: OrderPlaced, context: StepContext) -> OrderCancelled:
            self._did("cancel")
            return OrderCancelled(order_id=order.order_id)

        return orders

    def inventory(self) -> Service:
        inventory = Service("inventory")

        @inventory.performs(OrderFulfilment.reserve_stock)
        async def reserve(
            order: OrderPlaced, context: StepContext
        ) -> StockReserved | StockUnavailable:
            self._did("reserve")
            return StockReserved(order_id=order.order_id)

        @inventory.undoes(OrderFulfilment.reserve_stock)
        async def release(
            order: OrderPlaced, reserved: StockReserved | None, context: StepContext
        ) -> StockReleased:
            self._did("release")
            return StockReleased(order_id=order.order_id)

        return inventory

    def payments(self) -> Service:
        payments = Service("payments")

        @payments.performs(OrderFulfilment.authorize_payment)
        async def authorize(
            reserved: StockReserved, context: StepContext
        ) -> PaymentAuthorized | PaymentDeclined:
            if reserved.order_id in self.declined:
                return PaymentDeclined(order_id=reserved.order_id, reason="no money")
            self._did("authorize")
            return PaymentAuthorized(order_id=reserved.order_id)

        @payments.undoes(OrderFulfilment.authorize_payment)
        async def void(
            reserved: StockReserved, authorized: PaymentAuthorized | None, context: StepContext
        ) -> PaymentVoided:
            self._did("void")
            return PaymentVoided(order_id=reserved.order_id)

        @payments.performs(OrderFulfilment.capture_payment)
        def capture(shipment: ShipmentCreated, context: StepContext) -> PaymentCaptured:
            context.read(OrderPlaced)
            self._did("capture")
            return PaymentCaptured(order_id=shipment.order_id)

        return payments

    def others(self) -> list[Service]:
        shipping, notifications = Service("shipping"), Service("notifications")

        @shipping.performs(OrderFulfilment.create_shipment)
        async def ship(authorized: PaymentAuthorized, context: StepContext) -> ShipmentCreated:
            self._did("ship")
            return ShipmentCreated(order_id=authorized.order_id)

        @notifications.performs(OrderFulfilment.notify_customer)
        async def notify(shipment: ShipmentCreated, context: StepContext) -> CustomerNotified:
            self._did("notify")
            return CustomerNotified(order_id=shipment.order_id)

        @notifications.observes(OrderFulfilment.ended)
        async def ended(end: SagaEnded, context: EventContext) -> None:
            self.ended.append((end.saga_id, end.status))

        return [shipping, notifications]
