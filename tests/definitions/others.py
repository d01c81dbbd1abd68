"""Sagas of other people's, and the reference system: what a check must leave alone."""

from __future__ import annotations

from collections.abc import Sequence

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas import Saga, Service
from services.inventory.main import service as inventory
from services.notifications.main import service as notifications
from services.orders.main import service as orders
from services.payments.main import service as payments
from services.shipping.main import service as shipping
from tests.definitions.marketplace import Checkout, customer, seller
from tests.simulation.sagas_of_others.customers_and_orders import CreateOrder as CreateCreditOrder
from tests.simulation.sagas_of_others.customers_and_orders import customers_and_orders
from tests.simulation.sagas_of_others.eshop import Ordering, eshop
from tests.simulation.sagas_of_others.ftgo import CancelOrder, CreateOrder, ReviseOrder, ftgo
from tests.simulation.sagas_of_others.order_check import OrderCheck, order_check

__all__ = ["OTHERS"]

OTHERS: dict[str, tuple[Sequence[type[Saga]], Sequence[Service]]] = {
    "the reference system": (
        [OrderFulfilment],
        [orders, inventory, payments, shipping, notifications],
    ),
    "customers and orders": ([CreateCreditOrder], customers_and_orders(0).services),
    "ftgo": ([CreateOrder, CancelOrder, ReviseOrder], ftgo(0).services),
    "eshop": ([Ordering], eshop(0).services),
    "online marketplace": ([Checkout], [customer, seller]),
    "order check": ([OrderCheck], order_check(0).services),
}
"""Each with its services."""
