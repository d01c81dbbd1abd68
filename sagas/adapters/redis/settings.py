"""What the table on Redis must be told. Reads nothing by itself."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

__all__ = ["Durability", "RedisTableSettings", "redacted"]

Durability = Literal["server", "fsync"]
"""When a write counts as stored: as the server is configured, or once it is on its disk (WAITAOF)."""


class RedisTableSettings(BaseModel):
    """Where the saga table lives, and how patiently it is asked.

    ``url`` is redis-py's: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password;
    what redis-py reads from a query string can be given there. ``namespace`` prefixes every key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "sagas"
    connections: Annotated[int, Field(ge=1)] = 3
    """Pipelines in flight at once; further calls gather into the next one, so few are faster."""
    batch_max: Annotated[int, Field(ge=1)] = 256
    """Commands in one pipeline."""
    timeout_ms: Annotated[int, Field(ge=1)] = 5_000
    """For connecting, and for one pipeline from first byte sent to last reply read."""
    attempts: Annotated[int, Field(ge=1)] = 3
    """How often a pipeline is sent before TableUnavailable; every command is safe to repeat."""
    durability: Durability = "server"
    """``fsync`` needs Redis 7.2 or Valkey, and ``appendonly yes``; it leaves no window for a loss."""

    @property
    def address(self) -> str:
        """The URL without its secrets, for messages and logs."""
        return redacted(self.url.get_secret_value())


def redacted(url: str) -> str:
    """The URL with its password masked and its query string, which may hold one, left out."""
    parts = urlsplit(url)
    credentials, at, place = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{parts.scheme}://{user}{colon and ':***'}{at}{place}{parts.path}"
