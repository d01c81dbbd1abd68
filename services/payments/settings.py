"""What payments must be told."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from services import ServiceSettings

__all__ = ["PaymentsSettings"]


class PaymentsSettings(ServiceSettings):
    """Payments' settings; ``SAGAS_PAYMENTS_ACCOUNTS`` is a JSON object of customers and cents.

    An account's limit is the most that one payment may take. An account that is known already keeps
    its own; customers without an account have ``payments_limit_cents``.
    """

    service: ClassVar[str] = "payments"

    payments_accounts: dict[str, int] = Field(default_factory=lambda: {"broke": 0})
    payments_limit_cents: int = 1_000_000
