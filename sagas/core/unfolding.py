"""The places of a definition: the state machine, unfolded as it is walked, and what was answered at each.

Owns the sharing and the memory; what is asked, and of whom, is ``Position``'s.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar
from weakref import WeakSet

from sagas.core.decide import Decision
from sagas.core.definition import Definition
from sagas.core.enabled import Action
from sagas.core.instance import Instance, SagaStatus
from sagas.core.timers import TimerSource, timer_sources

__all__ = [
    "Fold",
    "Key",
    "Place",
    "Places",
    "Received",
    "TimerChanges",
    "forget_places",
    "keep_answer",
    "places_of",
]

_PLACES_MAX: Final = 20_000
"""A saga of six steps has some hundred; whoever makes up events must not fill the memory."""

_ANSWERS_MAX: Final = 1_000
"""Of one question at one place; some dozens are asked. An epoch that somebody makes up is another key."""

Key = tuple[object, ...]

Answer = TypeVar("Answer")


class Fold(NamedTuple):
    """``place`` is None where ids have to be compared anew: then the whole instance is folded."""

    place: Place | None
    appends: bool
    outside: bool
    """Whether the cause is no recorded event, and none that another recorded event names."""


class Received(NamedTuple):
    """What a message in hand comes to: its fold, whether that has to be stored before any effect, and what
    has to be emitted again then.
    """

    fold: Fold
    stores: bool
    owed: tuple[tuple[int, bool], ...]


class TimerChanges(NamedTuple):
    """From one place to another: the timers to be set, and the names of those to be cleared."""

    set: tuple[TimerSource, ...]
    cleared: frozenset[str]


class Place:
    """A node of the state machine: an instance with stand-ins, and what is known of it.

    ``model`` has ids such as ``#0``, that of the first recorded event, and causes such as ``@0``, the first
    that is not recorded. ``code`` is how the table keeps it, once somebody has asked.
    """

    __slots__ = (
        *("code", "decisions", "enabled", "facts", "folded", "folds", "model", "outside"),
        *("past_pivot", "received", "slots", "sources", "status", "timer_changes", "unproven"),
    )

    def __init__(self, model: Instance) -> None:
        self.model = model
        self.facts = tuple(model.facts.values())
        self.slots = {slot: index for index, slot in enumerate(model.facts)}
        outside = (int(f.cause[1:]) for f in self.facts if f.cause and f.cause[0] == "@")
        self.outside = max(outside, default=-1) + 1
        self.status: SagaStatus = model.status
        self.past_pivot: bool = model.past_pivot
        self.sources: tuple[TimerSource, ...] = timer_sources(model)
        self.folded = tuple(index for index, fact in enumerate(self.facts) if fact.folded)
        self.code: bytes | None = None
        self.folds: dict[Key, Fold] = {}
        self.received: dict[Key, Received] = {}
        self.enabled: dict[str, tuple[Action, ...]] = {}
        self.unproven: dict[Key, tuple[tuple[int, bool], ...]] = {}
        self.decisions: dict[Key, Decision] = {}
        self.timer_changes: dict[Place | None, TimerChanges] = {}


class Places:
    """The places of one definition that were reached so far."""

    def __init__(self) -> None:
        self._found: dict[Key, Place] = {}
        self.by_code: dict[bytes, Place] = {}
        _ALL.add(self)

    def at(self, model: Instance) -> Place:
        """The one place of a model."""
        facts = tuple(model.facts.values())
        key = (model.phase, model.turned_by, model.in_flight, model.parked, facts)
        place = self._found.get(key)
        if place is None:
            if len(self._found) >= _PLACES_MAX:
                self.forget()
            place = self._found[key] = Place(model)
        return place

    def keep(self, code: bytes, place: Place) -> Place:
        """Remember that a place, or the one that was known before, is kept as ``code``."""
        known = self.at(place.model)
        if len(self.by_code) >= _PLACES_MAX:
            self.forget()
        self.by_code[code] = known
        return known

    def forget(self) -> None:
        """Begin anew. Positions that are held keep their places."""
        self._found.clear()
        self.by_code.clear()


_ALL: WeakSet[Places] = WeakSet()


def keep_answer(known: dict[Key, Answer], key: Key, found: Answer) -> Answer:
    """Remember an answer at a place, and forget the others where there are too many."""
    if len(known) >= _ANSWERS_MAX:
        known.clear()
    known[key] = found
    return found


def forget_places() -> None:
    """Forget every answer: for whoever takes a safeguard away, and wants to see it missed."""
    for places in _ALL:
        places.forget()


def places_of(definition: Definition) -> Places:
    """The places of a definition, kept with it."""
    kept = definition.__dict__
    found = kept.get("_places")
    if found is None:
        found = kept["_places"] = Places()
    places: Places = found
    return places
