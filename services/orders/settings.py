"""What orders must be told."""

from __future__ import annotations

from typing import ClassVar

from services import ServiceSettings

__all__ = ["OrdersSettings"]


class OrdersSettings(ServiceSettings):
    """Orders' settings; with ``SAGAS_ORDERS_HTTP_PORT`` its HTTP interface is served there."""

    service: ClassVar[str] = "orders"

    orders_http_host: str = "127.0.0.1"
    orders_http_port: int | None = None
