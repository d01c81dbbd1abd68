"""What shipping must be told."""

from __future__ import annotations

from typing import ClassVar

from services import ServiceSettings

__all__ = ["ShippingSettings"]


class ShippingSettings(ServiceSettings):
    """Shipping's settings: where its data is."""

    service: ClassVar[str] = "shipping"
