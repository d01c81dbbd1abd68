"""Where an instance stands, found once: the state machine of a definition, unfolded as it is walked.

What ``evolve``, ``enabled``, ``decide`` and the others answer depends on which events are recorded, and
never on their ids or times, beyond which id is which. So instances that have come the same way share one
``Place``, and a question that was answered there is looked up: a message costs a few lookups instead of the
whole of the semantics (190 µs before, of which this was a third). It owns the stand-ins and none of the
answers: each is asked of the same functions as everywhere else, once, with stand-ins for ids and times.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sagas.core.decide import ActionResult, Decision, decide
from sagas.core.definition import DEADLINE, Definition
from sagas.core.enabled import Action, answered_early, enabled, must_store, unproven
from sagas.core.evolve import deadline_after, evolve
from sagas.core.instance import Fact, Instance, SagaStatus, is_told_apart
from sagas.core.timers import TimerSource
from sagas.core.unfolding import (
    Fold,
    Key,
    Place,
    Received,
    TimerChanges,
    keep_answer,
    places_of,
)

__all__ = ["Position"]

_NO_TIMERS: Mapping[str, int] = MappingProxyType({})
_new = tuple.__new__
"""A named tuple's own constructor is a function in Python, and every message makes three positions."""


class Position(NamedTuple):
    """An instance as its place, and what is its own: ids, times, stamp. Never changed in place.

    ``ids`` and ``times`` (milliseconds since the epoch) are those of the recorded events in their order;
    ``outside`` holds the causes that are none of them. For the rest see ``Instance``, which ``instance``
    gives in full.
    """

    definition: Definition
    saga_id: str
    place: Place
    ids: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    outside: tuple[str, ...] = ()
    deadline_ms: int | None = None
    generation: int = 1
    version: int = 0
    heartbeats: Mapping[str, int] = _NO_TIMERS

    @classmethod
    def new(cls, definition: Definition, saga_id: str, deadline_ms: int | None) -> Position:
        """Before anything is recorded."""
        place = places_of(definition).at(Instance(definition, ""))
        return cls(definition, saga_id, place, deadline_ms=deadline_ms)

    @classmethod
    def of(cls, instance: Instance) -> Position:
        """The position of an instance that is there in full."""
        ids = tuple(fact.id for fact in instance.facts.values())
        outside: dict[str, str] = {}
        names = {id_: f"#{ids.index(id_)}" for id_ in ids}
        facts = {}
        renamed = {}
        for slot, fact in instance.facts.items():
            cause = fact.cause
            if cause is not None:
                cause = names.get(cause) or outside.setdefault(cause, f"@{len(outside)}")
            model = fact._replace(id=names[fact.id], cause=cause, at_ms=0)
            facts[model.slot] = model
            renamed[slot] = model.slot
        turned_by, parked = instance.turned_by, instance.parked
        model_instance = instance._replace(
            saga_id="",
            facts=facts,
            turned_by=None if turned_by is None else renamed[turned_by],
            parked=tuple(renamed[slot] for slot in parked),
            deadline_ms=None,
            generation=1,
            version=0,
            heartbeats=_NO_TIMERS,
        )
        place = places_of(instance.definition).at(model_instance)
        times = tuple(fact.at_ms for fact in instance.facts.values())
        return cls(
            *(instance.definition, instance.saga_id, place, ids, times, tuple(outside)),
            *(instance.deadline_ms, instance.generation, instance.version, instance.heartbeats),
        )

    @property
    def instance(self) -> Instance:
        """The instance in full, put together each time."""
        model, facts = self.place.model, {}
        real = {}
        for index, slot in enumerate(model.facts):
            fact = self.fact(index)
            real[slot] = fact.slot
            facts[fact.slot] = fact
        turned_by = model.turned_by
        return model._replace(
            saga_id=self.saga_id,
            facts=facts,
            turned_by=None if turned_by is None else real[turned_by],
            parked=tuple(real[slot] for slot in model.parked),
            deadline_ms=self.deadline_ms,
            generation=self.generation,
            version=self.version,
            heartbeats=self.heartbeats,
        )

    def fact(self, index: int) -> Fact:
        """A recorded event, by its place in the order of recording."""
        model = self.place.facts[index]
        cause = model.cause
        if cause is not None:
            number = int(cause[1:])
            cause = self.ids[number] if cause[0] == "#" else self.outside[number]
        return model._replace(id=self.ids[index], cause=cause, at_ms=self.times[index])

    @property
    def status(self) -> SagaStatus:
        """Where the saga stands."""
        return self.place.status

    def index_of(self, fact: Fact) -> int | None:
        """Which recorded event has the fact's slot; None if none has."""
        slot = fact.slot
        if is_told_apart(fact.type):
            slots = tuple(self.instance.facts)
            return slots.index(slot) if slot in slots else None
        return self.place.slots.get(slot)

    def stamped(self, generation: int, version: int) -> Position:
        """The same under another stamp."""
        definition, saga_id, place, ids, times, outside, deadline_ms, _, _, heartbeats = self
        own = (ids, times, outside, deadline_ms, generation, version, heartbeats)
        return _new(Position, (definition, saga_id, place, *own))

    # --- questions ---------------------------------------------------------------------------------

    def fold(self, fact: Fact) -> Position:
        """Where the saga stands after one more event: ``evolve``."""
        return self._folded(fact, self._key(fact))

    def receive(
        self, message: Fact, service: str
    ) -> tuple[Position, bool, tuple[tuple[int, bool], ...]]:
        """The fold of a message in hand, whether the service has to store it before any effect, and what it
        has to emit again then: ``evolve``, ``must_store`` and ``unproven``, the last as numbers of recorded
        events, each with whether it is an early answer.
        """
        key = self._key(message)
        found = self.place.received.get((service, key))
        if found is None:
            model, fact = self.place.model, self._model_of(message)
            stores = must_store(model, evolve(model, fact), fact, service)
            fold = self._fold_of(message, key)
            owed = self._taken(fold, message).unproven(service, message)
            found = Received(fold, stores, owed)
            if fold.place is not None:
                keep_answer(self.place.received, (service, key), found)
        return self._taken(found.fold, message), found.stores, found.owed

    def _folded(self, fact: Fact, key: Key) -> Position:
        return self._taken(self._fold_of(fact, key), fact)

    def _fold_of(self, fact: Fact, key: Key) -> Fold:
        fold = self.place.folds.get(key)
        if fold is None:
            fold = keep_answer(self.place.folds, key, self._find_fold(fact))
        return fold

    def _taken(self, fold: Fold, fact: Fact) -> Position:
        after, appends, is_outside = fold
        if after is self.place:
            return self
        if after is None:
            return Position.of(evolve(self.instance, fact))
        definition, saga_id, _, ids, times, outside, deadline_ms, *rest = self
        if appends:
            ids, times = (*ids, fact.id), (*times, fact.at_ms)
            deadline_ms = deadline_after(definition, deadline_ms, fact)
        if is_outside:
            outside = (*outside, fact.cause or "")
        own = (ids, times, outside, deadline_ms, *rest)
        return _new(Position, (definition, saga_id, after, *own))

    def _find_fold(self, fact: Fact) -> Fold:
        place, model = self.place, self._model_of(fact)
        after = evolve(place.model, model)._replace(deadline_ms=None)
        if after.facts is place.model.facts:
            return Fold(place, appends=False, outside=False)
        appends = len(after.facts) > len(place.facts)
        if appends and model.id[0] == "@":
            return Fold(None, appends=True, outside=False)
        outside = appends and model.cause == f"@{len(self.outside)}"
        return Fold(places_of(self.definition).at(after), appends, outside)

    def enabled(self, service: str) -> tuple[Action, ...]:
        """What the service may run now: ``enabled``."""
        found = self.place.enabled.get(service)
        if found is None:
            found = self.place.enabled[service] = tuple(enabled(self.place.model, service))
        return found

    def unproven(self, service: str, message: Fact) -> tuple[tuple[int, bool], ...]:
        """What the service has to emit again, as numbers of recorded events, each with whether it is an early
        answer: ``unproven``.
        """
        key = (service, self._key(message))
        found = self.place.unproven.get(key)
        if found is None:
            found = self._find_unproven(service, self._model_of(message))
            keep_answer(self.place.unproven, key, found)
        return found

    def _find_unproven(self, service: str, message: Fact) -> tuple[tuple[int, bool], ...]:
        model, slots = self.place.model, self.place.slots
        return tuple(
            (slots[fact.slot], answered_early(model, service, message, fact))
            for fact in unproven(model, service, message)
        )

    def decide(self, action: Action, result: ActionResult) -> Decision:
        """What follows from the outcome of an action: ``decide``."""
        key = (action.step.name, action.direction, action.epoch, result.kind, result.type)
        known = self.place.decisions
        found = known.get(key)
        if found is None:
            found = keep_answer(known, key, decide(self.place.model, action, result))
        return found

    def timers(self) -> Mapping[str, int]:
        """When each timer is due: ``timers_of``."""
        return self._due(self.place.sources)

    def timers_since(self, before: Position | None) -> tuple[Mapping[str, int], frozenset[str]]:
        """The timers to be set, with when they are due, and those to be cleared, of what ``before`` had set.

        What a timer runs from is recorded once, so one with the same events is due as it was.
        """
        place = None if before is None else before.place
        changes = self.place.timer_changes.get(place)
        if changes is None:
            had = () if place is None else place.sources
            names = {source.name for source in self.place.sources}
            changes = self.place.timer_changes[place] = TimerChanges(
                tuple(source for source in self.place.sources if source not in had),
                frozenset(source.name for source in had if source.name not in names),
            )
        cleared = changes.cleared
        if self.deadline_ms is None and DEADLINE in cleared:
            cleared -= {DEADLINE}
        return self._due(changes.set), cleared

    def _due(self, sources: tuple[TimerSource, ...]) -> Mapping[str, int]:
        if not sources:
            return _NO_TIMERS
        slots, times, heartbeats, due = self.place.slots, self.times, self.heartbeats, {}
        for source in sources:
            if len(source.slots) == 1 and not heartbeats:  # nearly always
                due[source.name] = times[slots[source.slots[0]]] + source.after_ms
                continue
            since_ms = [times[slots[slot]] for slot in source.slots]
            due_ms = source.due_ms(since_ms, self.deadline_ms, heartbeats)
            if due_ms is not None:
                due[source.name] = due_ms
        return due

    # --- stand-ins -----------------------------------------------------------------------------------

    def _key(self, fact: Fact) -> Key:
        """What the answers can depend on: all of a fact but its time, ids as what they stand for."""
        # As ``_stand_in``, without its call: this is asked twice for each message.
        id_, cause, ids = fact.id, fact.cause, self.ids
        number = ids.index(id_) if id_ in ids else self._outside_of(id_)
        own: object = "="
        if cause is None:
            own = ""  # a cause that is recorded nowhere is another matter
        elif cause != id_:
            own = ids.index(cause) if cause in ids else self._outside_of(cause)
        return (fact[1:4], fact[5:7], fact[8:], number, own)

    def _outside_of(self, id_: str) -> int | None:
        """Of a cause that is no recorded event -1, -2 and so on; else None."""
        return -1 - self.outside.index(id_) if id_ in self.outside else None

    def _stand_in(self, id_: str) -> int | None:
        """Of a recorded event its number; else as ``_outside_of``."""
        return self.ids.index(id_) if id_ in self.ids else self._outside_of(id_)

    def _model_of(self, fact: Fact) -> Fact:
        id_ = self._name(fact.id, f"#{len(self.ids)}")
        cause = fact.cause
        if cause is not None:
            cause = id_ if cause == fact.id else self._name(cause, f"@{len(self.outside)}")
        return fact._replace(id=id_, cause=cause, at_ms=0)

    def _name(self, id_: str, new: str) -> str:
        number = self._stand_in(id_)
        if number is None:
            return new
        return f"#{number}" if number >= 0 else f"@{-1 - number}"
