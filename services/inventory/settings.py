"""What inventory must be told."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from services import ServiceSettings

__all__ = ["InventorySettings"]


class InventorySettings(ServiceSettings):
    """Inventory's settings; ``SAGAS_INVENTORY_STOCK`` is a JSON object of articles and pieces.

    The stock is what an empty warehouse receives: an article that is known already keeps its own.
    """

    service: ClassVar[str] = "inventory"

    inventory_stock: dict[str, int] = Field(
        default_factory=lambda: {"tea": 1_000, "cup": 1_000, "kettle": 100}
    )
