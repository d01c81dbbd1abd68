"""The order fulfilment of the reference system at moments of a virtual day, and what is said of it."""

from __future__ import annotations

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.core.definition import Direction
from sagas.operating.explaining import Explanation, ServiceFact, Surroundings, Usual, explain
from tests.recorded import Telling, at, clock, recorded

__all__ = [
    "AROUND",
    "ASSUMED",
    "AUTHORIZED",
    "CANCELLED",
    "CAPTURED",
    "CONFIRMED",
    "DECLINED",
    "DECLINING",
    "DELIVERING",
    "NOTIFIED",
    "ORDER",
    "PARKED_PAYLOAD",
    "PAYING",
    "PAYMENTS",
    "PLACED",
    "QUICK",
    "RELEASED",
    "RESERVED",
    "SHIPPED",
    "SHIPPING",
    "commands",
    "lines",
    "told",
]

PLACED = "orders.OrderPlaced.v1"
RESERVED = "inventory.StockReserved.v1"
DECLINED = "payments.PaymentDeclined.v1"
AUTHORIZED = "payments.PaymentAuthorized.v1"
SHIPPED = "shipping.ShipmentCreated.v1"
CAPTURED = "payments.PaymentCaptured.v1"
NOTIFIED = "notifications.CustomerNotified.v1"
CONFIRMED = "orders.ReceiptConfirmed.v1"
ASSUMED = "orders.ReceiptAssumed.v1"
RELEASED = "inventory.StockReleased.v1"
CANCELLED = "orders.OrderCancelled.v1"
ORDER = OrderFulfilment.definition

PAYING: dict[float, Telling] = {0: PLACED, 0.5: RESERVED}
DECLINING: dict[float, Telling] = {**PAYING, 1: DECLINED}
SHIPPING: dict[float, Telling] = {**PAYING, 1: AUTHORIZED, 1.5: SHIPPED}
DELIVERING: dict[float, Telling] = {**SHIPPING, 2: CAPTURED, 2.5: NOTIFIED}

QUICK = Usual(half_ms=40, most_ms=90, samples=80)
PAYMENTS = ServiceFact(
    service="payments", workers=2, lag=0, last_error="OSError: no line.", error_at_ms=at(9)
)
AROUND = Surroundings(
    services={"payments": PAYMENTS}, usual={("authorize_payment", Direction.FORWARD): QUICK}
)
PARKED_PAYLOAD = {
    "step": "reserve_stock",
    "direction": "undo",
    "error": "OSError: no line",
    "attempts": 3,
    "escalated": True,
}


def told(
    events: dict[float, Telling],
    now: float,
    *,
    around: Surroundings | None = None,
    payloads: dict[str, dict[str, object]] | None = None,
    notes: dict[str, str] | None = None,
) -> Explanation:
    instance = recorded(ORDER, events)
    by_slot = {
        slot: (payloads or {})[fact.type]
        for slot, fact in instance.facts.items()
        if fact.type in (payloads or {})
    }
    return explain(
        instance,
        now_ms=at(now),
        saga=OrderFulfilment,
        notes=notes or {},
        payloads=by_slot,
        around=around,
    )


def lines(told: Explanation) -> list[str]:
    return [one.text(clock) for one in told.sentences]


def commands(told: Explanation) -> list[str]:
    return [one.command for one in told.choices]
