"""What a service reads: its topics, and the filter that runs on headers before anything is decoded.

Derived from the declarations alone. A type that concerns nothing of the service is dropped; that is
normal on a shared topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import structlog

from sagas.core.errors import InvalidMessage
from sagas.core.events import FRAMEWORK_PUBLISHER
from sagas.core.framework_events import CONTROL_EVENTS
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.ports import Record
from sagas.service import Observer, Service
from sagas.wire.envelope import header_text
from sagas.wire.headers import Names, remember
from sagas.wire.topics import Topics

__all__ = ["Interest", "Subscription"]

_log = structlog.get_logger()

_KINDS_MAX = 2_000
"""So many kinds of records are remembered; a producer that makes up names must not fill the memory."""
_KIND = ("ce_type", "ce_saganame", "ce_sagastatus")
_NOTED_MAX = 100
"""So many unknown types are told; a producer that makes up names must not fill the memory."""
_STATUSES = frozenset(status.encode() for status in SagaStatus)
_UNHURRIED_MS = 50
_RETRIED_MS = 250
"""What is in a retry topic waits there for seconds: found a little later, it is still found in time."""
_TERMINAL = frozenset(status.encode() for status in SagaStatus if status.is_terminal)


@dataclass(frozen=True, slots=True)
class Interest:
    """Why a record concerns the service: the saga whose steps it wakes, the observers to tell, and the
    sagas that it asks to turn back.
    """

    event_type: str
    saga: type[Saga] | None
    observers: tuple[Observer, ...]
    cancels: tuple[type[Saga], ...] = ()


class Subscription:
    """The topics and the filter of one service. ``retry_topics`` are those of the topics where records
    wait for another attempt; the filter is for the original of such a record.
    """

    def __init__(
        self, service: Service, topics: Topics, *, retry_topics: frozenset[str] = frozenset()
    ) -> None:
        self._wakes = {
            saga.definition.saga: (
                saga,
                _with_formers(saga, saga.definition.wakes[service.name]) | CONTROL_EVENTS.keys(),
            )
            for saga in service.sagas
        }
        self._known = {
            saga.definition.saga: saga.events.keys() | saga.formers.keys() | CONTROL_EVENTS.keys()
            for saga in service.sagas
        }
        self._cancelled: dict[str, tuple[type[Saga], ...]] = {}
        for saga in service.sagas:
            if saga.cancelled_by is not None:
                for type_ in _with_formers(saga, {saga.cancelled_by.event_type}):
                    self._cancelled[type_] = (*self._cancelled.get(type_, ()), saga)
        self._observers = tuple(service.observers)
        self._starts = _sole_starts(service, topics)
        self._noted: set[str] = set()
        self._picks: dict[Names, itemgetter[Any]] = {}
        self._interests: dict[tuple[str, itemgetter[Any], object], Interest | None] = {}
        self._controls = {topics.control(name) for name in self._wakes}
        self._own_topics = {topics.events(service.name)}.union(
            topics.control(saga.definition.saga)
            for saga in service.sagas
            if saga.definition.host == service.name
        )
        self.topics: frozenset[str] = frozenset(_topics(service, topics)) | retry_topics
        unhurried = self.topics - frozenset(_hurried(service, topics))
        self.unhurried: Mapping[str, int] = {
            topic: _RETRIED_MS if topic in retry_topics else _UNHURRIED_MS for topic in unhurried
        }
        """Topics that can wait, with the milliseconds by which their records may come later."""
        self.retry_topics = retry_topics

    def interest(self, record: Record) -> Interest | None:
        """Why the record concerns the service, or None. Looks at headers only.

        Raises InvalidMessage for a saga's header with a type that the saga does not know, or headers
        that are not text or too long for a name.
        """
        # Most records that are read concern nobody here, and the answer is the same for all of a kind. What
        # makes the kind is picked by its place under names that came before: 30 instructions instead of 61.
        try:
            names, values = zip(*record.headers)  # noqa: B905 - pairs
            pick = self._picks[names]
            return self._interests[record.topic, pick, pick(values)]
        except (KeyError, ValueError):
            pass
        return self._interest_in_kind(record)

    def _interest_in_kind(self, record: Record) -> Interest | None:
        headers = dict(record.headers)
        type_bytes, status = headers.get("ce_type"), headers.get("ce_sagastatus")
        if type_bytes is None:
            return self._by_contract(record)
        saga_bytes, ends = headers.get("ce_saganame", b""), status in _TERMINAL
        found = self._find(record, type_bytes, saga_bytes, ends=ends)
        if status is None or status in _STATUSES:
            self._remember(record, found)
        return found

    def _remember(self, record: Record, found: Interest | None) -> None:
        names = tuple(name for name, _ in record.headers)
        pick = remember(self._picks, names, _pick_of)
        if pick is not None:
            if len(self._interests) >= _KINDS_MAX:
                self._interests.clear()
            values = tuple(value for _, value in record.headers)
            self._interests[record.topic, pick, pick(values)] = found

    def _find(
        self, record: Record, type_bytes: bytes, saga_bytes: bytes, *, ends: bool
    ) -> Interest | None:
        type_ = header_text("ce_type", type_bytes)
        name = header_text("ce_saganame", saga_bytes)
        observers = tuple(
            observer
            for observer in self._observers
            if type_ in observer.event_types
            or type_ in observer.formers
            or (ends and name in observer.ended)
        )
        cancels = self._cancels(name, type_)
        saga = self._saga(record, name, type_)
        if saga is None and not observers and not cancels:
            self._note_unknown(record, name, type_)
            return None
        return Interest(type_, saga, observers, cancels)

    def _cancels(self, name: str, type_: str) -> tuple[type[Saga], ...]:
        """The sagas that an event asks to turn back: the one that its header names where it is one of them,
        or else every one, by its key. An event may belong to a saga and cancel another.
        """
        asked = self._cancelled.get(type_, ())
        named = tuple(saga for saga in asked if saga.name == name)
        return named or asked

    def _note_unknown(self, record: Record, name: str, type_: str) -> None:
        """Say it once for each type; the service whose topic it is speaks, the others keep still."""
        if name or record.topic not in self._own_topics or type_ in self._noted:
            return
        if type_.startswith(f"{FRAMEWORK_PUBLISHER}."):
            return  # the control topic tells of generations, too
        if len(self._noted) < _NOTED_MAX and all(type_ not in k for k in self._known.values()):
            self._noted.add(type_)
            _log.warning("record.unknown_type", type=type_[:200], topic=record.topic)

    def _saga(self, record: Record, name: str, type_: str) -> type[Saga] | None:
        if not name:
            start = self._starts.get(record.topic)
            found = start is not None and start[1] == type_
            return start[0] if start is not None and found else self._start_of(type_)
        if name not in self._wakes:
            return None
        saga, wakes = self._wakes[name]
        if type_ not in self._known[name]:
            if type_ in saga.definition.retired:
                return None
            if record.topic in self._controls - self._own_topics:
                return None  # every participant reads it: its host speaks
            raise InvalidMessage(
                f"The header ce_saganame says {name}, which knows no event {type_[:80]!r}; it knows "
                f"{', '.join(sorted(self._known[name]))}."
            )
        return saga if type_ in wakes else None

    def _start_of(self, type_: str) -> type[Saga] | None:
        """The saga that an event without a saga's header starts, where this service takes part in it."""
        for saga, wakes in self._wakes.values():
            current = saga.definition.current_of.get(type_, type_)
            if current in saga.definition.start.done and type_ in wakes:
                return saga
        return None

    def _by_contract(self, record: Record) -> Interest | None:
        """A record without a type: on a topic with one start type, it is that.

        Elsewhere it means nothing; the service whose topic it is, or the host of the saga whose control
        topic it is, makes it a dead letter, the others pass it over.
        """
        start = self._starts.get(record.topic)
        if start is None and record.topic not in self._own_topics:
            return None  # whose topic it is keeps it
        if start is None:
            raise InvalidMessage(
                "The record has no header ce_type, and its topic is not one with a single start "
                "event; set ce_type to the event's name, such as orders.OrderPlaced.v1."
            )
        saga, type_ = start
        wakes = type_ in self._wakes[saga.definition.saga][1]
        observers = tuple(o for o in self._observers if type_ in o.event_types)
        return Interest(type_, saga if wakes else None, observers) if wakes or observers else None


def _pick_of(names: Names) -> itemgetter[Any]:
    """Picks what makes the kind of a record from the values of its headers."""
    return itemgetter(*(names.index(name) for name in _KIND if name in names))


def _with_formers(saga: type[Saga], types: Iterable[str]) -> frozenset[str]:
    """Names of events, and of the former versions of which they are made."""
    kept = frozenset(types)
    return kept.union(former for former, current in saga.definition.upcasts if current in kept)


def _topics(service: Service, topics: Topics) -> Iterator[str]:
    """Where the events are that wake one of its steps, or that it observes, and the requests to its sagas.

    Its own topic is among them where anything on it concerns it, whoever writes it: a start, an answer to
    a wait, a refusal that has something of its own undone. Otherwise nobody but the participants has any
    business there, and what others write is passed over.
    """
    for saga in service.sagas:
        definition = saga.definition
        yield topics.control(definition.saga)
        for type_ in definition.wakes[service.name]:
            yield topics.of(definition, type_)
        if saga.cancelled_by is not None:
            yield topics.events(saga.cancelled_by.publisher())
    for observer in service.observers:
        yield from (topics.events(one) for one in observer.emitters - {FRAMEWORK_PUBLISHER})
        yield from (topics.control(saga) for saga in observer.ended)


def _hurried(service: Service, topics: Topics) -> Iterator[str]:
    """The topics on which a saga's way forward comes, or a request to turn it back, or what is observed.

    What else wakes a participant can wait for some milliseconds, and comes together then: what turns a
    saga back, timers and operators, and a start that leads to none of its steps, whose row is there
    meanwhile by whoever acts on it. It mostly concerns nobody, and yet a fetch of its own would cost as
    much as all the rest of a message.
    """
    for saga in service.sagas:
        definition = saga.definition
        for type_ in definition.leads_forward[service.name]:
            yield topics.of(definition, type_)
        if saga.cancelled_by is not None:
            yield topics.events(saga.cancelled_by.publisher())
    for observer in service.observers:
        yield from (topics.events(one) for one in observer.emitters - {FRAMEWORK_PUBLISHER})


def _sole_starts(service: Service, topics: Topics) -> dict[str, tuple[type[Saga], str]]:
    """The topics on which exactly one start event is published, with that event."""
    starts: dict[str, set[tuple[type[Saga], str]]] = {}
    for saga in service.sagas:
        start = saga.definition.start
        found = starts.setdefault(topics.events(start.service), set())
        found.update((saga, type_) for type_ in start.done)
    return {topic: next(iter(found)) for topic, found in starts.items() if len(found) == 1}
