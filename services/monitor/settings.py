"""What the monitor must be told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sagas.core.durations import span_ms
from sagas.monitoring.policy import Objective, Policy, Span

__all__ = ["MonitorSettings"]


class MonitorSettings(BaseSettings):
    """Read from the environment: ``SAGAS_MONITOR_OBJECTIVES`` (a JSON list), ``SAGAS_MONITOR_HTTP_PORT``
    and so on. Spans are ``30s``, ``90m``, ``36h``, ``8d``.
    """

    model_config = SettingsConfigDict(env_prefix="SAGAS_MONITOR_", extra="ignore", frozen=True)

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=6066, ge=1, lt=65536)
    state: Path = Path("data/monitor.db")
    window: Span = "1m"
    keep: Span = "24h"
    settle: Span = "1m"
    stuck_after: Span = "1m"
    sagas_max: int = Field(default=100_000, ge=1)
    objectives: tuple[Objective, ...] = (
        Objective(
            saga="order-fulfilment", step="create_shipment", within="5s", over="24h", ratio=0.99
        ),
    )

    @property
    def policy(self) -> Policy:
        """The same for the observer."""
        return Policy(
            window_ms=span_ms(self.window) or 0,
            keep_ms=span_ms(self.keep) or 0,
            settle_ms=span_ms(self.settle) or 0,
            stuck_after_ms=span_ms(self.stuck_after) or 0,
            sagas_max=self.sagas_max,
            objectives=self.objectives,
        )
