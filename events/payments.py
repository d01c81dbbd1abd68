"""What the payments service publishes."""

from __future__ import annotations

from sagas import Event

__all__ = ["PaymentAuthorized", "PaymentCaptured", "PaymentDeclined", "PaymentVoided"]


class PaymentAuthorized(Event, type="payments.PaymentAuthorized.v1"):
    """The amount is blocked on the customer's account; no money has moved yet."""

    order_id: str
    customer_id: str
    amount_cents: int


class PaymentDeclined(Event, type="payments.PaymentDeclined.v1"):
    """The customer's account does not give that much. Nothing is blocked."""

    order_id: str
    customer_id: str
    amount_cents: int
    reason: str


class PaymentVoided(Event, type="payments.PaymentVoided.v1"):
    """What was blocked for the order, which may be nothing, is the customer's again."""

    order_id: str
    amount_cents: int = 0


class PaymentCaptured(Event, type="payments.PaymentCaptured.v1"):
    """The blocked amount is ours."""

    order_id: str
    amount_cents: int
