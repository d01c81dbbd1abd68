"""Topic and group names. The only place that knows the conventions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sagas.core.errors import SettingsError

__all__ = ["Topics"]

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Topics:
    """The names that belong to one namespace (an environment, or a tenant of a cluster)."""

    namespace: str

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace):
            raise SettingsError(
                f"The namespace {self.namespace!r} does not fit into a topic name: use lower-case "
                "letters, digits and hyphens, as in 'shop' or 'shop-staging'."
            )

    def events(self, service: str) -> str:
        """All that the service emits, keyed by saga id."""
        return f"{self.namespace}.{service}.events"

    def dead_letters(self, service: str) -> str:
        """What the service could not handle, bytes untouched."""
        return f"{self.namespace}.{service}.dlq"

    def control(self, saga: str) -> str:
        """Wake-ups of operators and timers; every participant reads it."""
        return f"{self.namespace}.{saga}.control"

    def group(self, service: str) -> str:
        """The consumer group of the service."""
        return f"{self.namespace}.{service}"
