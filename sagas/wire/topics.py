"""Topic and group names. The only place that knows the conventions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sagas.core.definition import Definition
from sagas.core.errors import SettingsError

__all__ = ["RETRY_TIERS_MS", "Topics"]

RETRY_TIERS_MS = (10_000, 60_000, 600_000, 3_600_000)
"""The delays of the retry topics. One delay to a topic: what is in a partition is due in its order."""

_UNITS = ((3_600_000, "h"), (60_000, "m"), (1_000, "s"))
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
        """The outcomes of the service's steps, keyed by saga id."""
        return f"{self.namespace}.{service}.events"

    def of(self, definition: Definition, type_: str) -> str:
        """The topic of an event of a saga, whoever has decided it: its type says where it is.

        The outcome of a step is on the topic of the step's service, everything else on the saga's control
        topic. So whoever needs an event needs no other topic (ADR 22).
        """
        outcome = definition.outcome_of.get(type_)
        if outcome is None and type_ in definition.current_of:
            return self.of(definition, definition.current_of[type_])
        if outcome is None:
            return self.control(definition.saga)
        return self.events(definition.by_name[outcome.step].service)

    def dead_letters(self, service: str) -> str:
        """What the service could not handle, bytes untouched."""
        return f"{self.namespace}.{service}.dlq"

    def retry(self, service: str, delay_ms: int) -> str:
        """What waits so long for another attempt by the service: ``shop.payments.retry.10m``."""
        for unit_ms, unit in _UNITS:
            if delay_ms % unit_ms == 0:
                return f"{self.namespace}.{service}.retry.{delay_ms // unit_ms}{unit}"
        return f"{self.namespace}.{service}.retry.{delay_ms}ms"

    def control(self, saga: str) -> str:
        """The framework's own events, and wake-ups of operators and timers; every participant reads it."""
        return f"{self.namespace}.{saga}.control"

    def timers_group(self, saga: str) -> str:
        """The group of the control topic whose members share the duty of publishing timers."""
        return f"{self.control(saga)}.timers"

    def group(self, service: str) -> str:
        """The consumer group of the service."""
        return f"{self.namespace}.{service}"
