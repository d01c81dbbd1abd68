"""From a record to an event of a saga instance, as the saga's participants read it.

Owns which topics an observer follows and which of their records concern it. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from typing import NamedTuple

from sagas.core.errors import InvalidMessage
from sagas.core.framework_events import CONTROL_EVENTS
from sagas.core.instance import Fact
from sagas.core.refold import Found
from sagas.core.saga import Saga
from sagas.ports import Record
from sagas.runtime.incoming import decode_incoming
from sagas.wire.envelope import Envelope, decode_headers
from sagas.wire.topics import Topics

__all__ = ["Contracts", "Seen", "shared"]

_AHEAD_MAX_MS = 86_400_000
"""No clock is wrong by more: an event of next year would open a window that never closes."""


def shared(fact: Fact) -> Fact:
    """The same, with its texts in memory once: the id of one event is the cause of another, and an observer
    keeps hundreds of thousands.
    """
    cause = None if fact.cause is None else intern(fact.cause)
    return fact._replace(
        id=intern(fact.id), type=intern(fact.type), step=intern(fact.step), cause=cause
    )


class Seen(NamedTuple):
    """An event of an instance, as it was found on a topic."""

    saga: str
    saga_id: str
    found: Found


class Contracts:
    """The sagas that are observed, and where their events are."""

    def __init__(self, sagas: Iterable[type[Saga]], topics: Topics) -> None:
        self._sagas = {saga.definition.saga: saga for saga in sagas}
        self._starts: dict[str, type[Saga]] = {}
        on_topic: dict[str, set[str]] = {}
        for saga in self._sagas.values():
            start = saga.definition.start
            for type_ in start.done:
                self._starts.setdefault(type_, saga)
                on_topic.setdefault(topics.events(start.service), set()).add(type_)
            for former, current in saga.definition.upcasts:
                if current in start.done:
                    self._starts.setdefault(former, saga)
        self._sole_start = {
            topic: next(iter(types)) for topic, types in on_topic.items() if len(types) == 1
        }
        self.topics: frozenset[str] = frozenset(
            topic
            for saga in self._sagas.values()
            for topic in (
                topics.control(saga.definition.saga),
                *(topics.of(saga.definition, type_) for type_ in saga.definition.outcome_of),
            )
        )

    @property
    def sagas(self) -> tuple[type[Saga], ...]:
        """All that are observed."""
        return tuple(self._sagas.values())

    def seen(self, record: Record, now_ms: int) -> Seen | None:
        """The event that a record brings; None for what only asks for something, or concerns no saga here.

        A record's own time is its producer's word: one that lies ahead of ``now_ms``, or is none, is taken
        for now. Raises InvalidMessage for what a participant would make a dead letter.
        """
        envelope = decode_headers(record.headers, record.value or b"", time_ms=record.timestamp_ms)
        type_ = envelope.type or self._sole_start.get(record.topic, "")
        saga = self._saga_of(envelope, type_)
        if saga is None or type_ in CONTROL_EVENTS or type_ in saga.definition.retired:
            return None
        incoming = decode_incoming(envelope, saga, type_)
        published_ms = record.timestamp_ms if 0 <= record.timestamp_ms <= now_ms else now_ms
        if incoming.fact.at_ms > published_ms + _AHEAD_MAX_MS:
            raise InvalidMessage(
                f"{type_} of {incoming.saga_id!r} says that it was decided more than a day after it was "
                "published; set ce_time to the time of the event."
            )
        found = Found(
            shared(incoming.fact),
            envelope.generation,
            envelope.seq,
            mark="",
            folded=envelope.folded,
            deadline_ms=envelope.trail.deadline_ms,
            published_ms=published_ms,
        )
        return Seen(saga.definition.saga, incoming.saga_id, found)

    def _saga_of(self, envelope: Envelope, type_: str) -> type[Saga] | None:
        """The saga that the header names; without one only a start belongs to any."""
        if envelope.saga is not None:
            return self._sagas.get(envelope.saga)
        return self._starts.get(type_)
