"""What notifications must be told."""

from __future__ import annotations

from typing import ClassVar

from services import ServiceSettings

__all__ = ["NotificationsSettings"]


class NotificationsSettings(ServiceSettings):
    """Notifications' settings: where its data is."""

    service: ClassVar[str] = "notifications"
