"""Records as they lie on the topics, and how their headers are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["NAMESPACE", "SAGA", "SERVICES", "TERMINAL", "Place", "Seen", "seen"]

NAMESPACE = "campaign"
SAGA = "order-fulfilment"
SERVICES = ("orders", "inventory", "payments", "shipping", "notifications")
TERMINAL = frozenset({"COMPLETED", "COMPENSATED", "FAILED"})


class Place(NamedTuple):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One record that was read. Of headers of one name the last counts."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    time_ms: int

    def header(self, name: str) -> str:
        """The header's text, empty without one; what is no text comes as something like it."""
        for known, value in reversed(self.headers):
            if known == name:
                return value.decode(errors="backslashreplace")
        return ""

    @property
    def id(self) -> str:
        """The event's id: the same for each copy."""
        return self.header("ce_id")

    @property
    def type(self) -> str:
        """The event's type."""
        return self.header("ce_type")

    @property
    def saga_id(self) -> str:
        """The saga instance that it names."""
        return self.header("ce_sagaid")

    @property
    def status(self) -> str:
        """The status to which it has led."""
        return self.header("ce_sagastatus")

    @property
    def is_event(self) -> bool:
        """Whether it tells something of a saga. On a control topic most records only ask for something:
        what was decided has a version.
        """
        topic = self.place.topic
        return topic.endswith(".events") or (
            topic.endswith(".control") and bool(self.header("ce_sagaseq"))
        )

    @property
    def is_letter(self) -> bool:
        """Whether it is a dead letter, and not what resolves one."""
        return self.place.topic.endswith(".dlq") and bool(self.header("dlq-reason"))


def seen(message: Any) -> Seen:
    """What aiokafka has read."""
    place = Place(message.topic, message.partition, message.offset)
    return Seen(place, message.key, message.value, tuple(message.headers), message.timestamp)
