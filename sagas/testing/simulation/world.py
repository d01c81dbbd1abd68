"""The servers of a run: broker, saga table and journals on memory, and what is written down of them.

Owns all that outlives a worker, and the record of what happened. Nothing here goes wrong by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.core.definition import Direction
from sagas.core.timers import PROOF, RETRY
from sagas.ports import (
    Clock,
    OutgoingRecord,
    Record,
    RowChange,
    Timer,
    TopicPartition,
    bucket_of,
)

__all__ = ["Effect", "Moment", "Servers", "SimulatedBroker", "SimulatedTable", "Story"]


class Moment(NamedTuple):
    """One line of the story: when, who, what kind of thing, about which saga, and in words."""

    at_s: float
    who: str
    kind: str
    saga_id: str
    words: str


class Effect(NamedTuple):
    """An action that took effect in a participant's own store.

    ``outcome`` is the type of the event that it returned, ``null`` a compensation that had nothing to
    undo, and ``journaled`` says that effect and outcome were committed together.
    """

    step: str
    direction: Direction
    epoch: int
    outcome: str
    null: bool
    journaled: bool


@dataclass(slots=True)
class Story:
    """What happened, for the checkers and for whoever reads a failure."""

    moments: list[Moment] = field(default_factory=list)
    effects: dict[tuple[str, str], list[Effect]] = field(default_factory=dict)
    unfounded: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    published: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    poison: set[tuple[str, int, int]] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)

    def effect(self, saga: str, saga_id: str, effect: Effect) -> None:
        """An action has taken effect."""
        self.effects.setdefault((saga, saga_id), []).append(effect)


class SimulatedBroker(MemoryBroker):
    """The memory broker, whose polls end by records only, and whose offsets can be looked at."""

    def __init__(self, clock: Clock, *, partitions: int) -> None:
        super().__init__(clock, partitions, auto_create=True, poll_timeouts=False)

    @property
    def topics(self) -> list[str]:
        """Every topic that there is, by name."""
        return sorted(self._topics)

    def unread(self, group: str, topics: frozenset[str]) -> int:
        """How many records the group has not acknowledged."""
        committed = self._groups[group].committed if group in self._groups else {}
        unread = 0
        for topic in topics:
            for partition in self._topic(topic).partitions:
                if partition.log:
                    unread += len(partition.log) - committed.get(partition.id, 0)
        return unread

    def groups(self) -> list[str]:
        """The consumer groups by name."""
        return sorted(self._groups)

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """The offsets of a group, as they are kept: changing them is what an operator's reset does."""
        return self._groups[group].committed

    async def append(self, record: OutgoingRecord) -> Record:
        """Publish, and return the record as it is kept."""
        await self.publish(record)
        return self.records(record.topic)[-1]


class SimulatedTable(MemorySagaTable):
    """The memory table, with the history of each row, and able to lose what it had acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: dict[tuple[str, str], list[str]] = {}
        self.stores = 0
        self.timers_changed: Callable[[], None] = _nobody_cares
        self.lost: Callable[[], None] = _nobody_cares
        self._changes: list[RowChange | tuple[Timer, int]] = []

    async def store(self, change: RowChange) -> bool:
        """Store, and write down what was stored."""
        stored = await super().store(change)
        if stored:
            self._stored(change)
        return stored

    async def restore(self, change: RowChange, token: str) -> bool:
        """Put a row back, and write it down."""
        restored = await super().restore(change, token)
        if restored:
            self._stored(change._replace(expected=None))
        return restored

    def _stored(self, change: RowChange) -> None:
        self._changes.append(change)
        self.stores += 1
        self.statuses.setdefault((change.saga, change.saga_id), []).append(change.status)
        if change.timers_set:
            self.timers_changed()

    async def postpone_timer(self, timer: Timer, due_ms: int) -> bool:
        """Move a timer, and write it down."""
        self._changes.append((timer, due_ms))
        moved = await super().postpone_timer(timer, due_ms)
        self.timers_changed()
        return moved

    async def annotate(
        self, saga: str, saga_id: str, name: str, note: str | None, *, due_ms: int | None = None
    ) -> bool:
        """Keep a note; a timer that comes with it wakes who looks for timers. A loss takes all notes."""
        kept = await super().annotate(saga, saga_id, name, note, due_ms=due_ms)
        self.timers_changed()
        return kept

    def status(self, saga: str, saga_id: str) -> str | None:
        """Where an instance stands."""
        stored = self._rows.get((saga, saga_id))
        return None if stored is None else stored.status

    def events(self, saga: str, saga_id: str) -> Mapping[str, bytes]:
        """The recorded events of an instance, as stored."""
        stored = self._rows.get((saga, saga_id))
        return {} if stored is None else stored.events

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Every instance that there is."""
        return sorted(self._rows)

    def state(self, saga: str, saga_id: str) -> bytes:
        """The compact state of an instance, as stored."""
        return self._rows[saga, saga_id].state

    def generation_of(self, saga: str, saga_id: str) -> int:
        """The generation under which an instance was written; 0 for none."""
        stored = self._rows.get((saga, saga_id))
        return 0 if stored is None or stored.stamp is None else stored.stamp.generation

    def timer_names(self, saga: str, saga_id: str) -> Iterator[str]:
        """The timers of an instance that are part of it: not those that only ask for proof, or whether an
        attempt is missing.
        """
        for timer in self._timers[bucket_of(saga_id)].values():
            hints = timer.name == PROOF or timer.name.startswith(RETRY)
            if (timer.saga, timer.saga_id) == (saga, saga_id) and not hints:
                yield timer.name

    def earliest_due_ms(self) -> int | None:
        """When the next timer is due."""
        filled = filter(None, self._timers)
        return min((timer.due_ms for timers in filled for timer in timers.values()), default=None)

    def is_ready(self, saga: str) -> bool:
        """Whether nothing of the saga is lost, or being rebuilt."""
        different = set(self._markers.of(saga))  # of 128 one or two, and asked 70 times a run
        return all(one is not None and one.token is None for one in different)

    def lose(self, writes: int) -> None:
        """Be a server again that was restarted: the last so many acknowledged writes are missing, and
        every client notices by its next call.
        """
        kept = self._changes[: max(0, len(self._changes) - writes)]
        self._markers.condemn()
        self._empty()
        for change in kept:
            if isinstance(change, RowChange):
                self._replay(change)
            else:
                _at_once(super().postpone_timer(*change))
        self._changes = kept
        self.lost()

    def wipe(self) -> None:
        """Lose everything, as by FLUSHALL."""
        super().wipe()
        self._empty()
        self.lost()

    def _empty(self) -> None:
        self._rows.clear()
        self._index.clear()
        for timers in self._timers:
            timers.clear()
        self._changes = []
        self.statuses.clear()

    def _replay(self, change: RowChange) -> None:
        """A row that was put back replaces what was there; any other change goes on from it."""
        key = (change.saga, change.saga_id)
        if change.expected is None:
            self._forget(*key)
        self.statuses.setdefault(key, []).append(change.status)
        self._apply(self._rows.get(key), change)


class Servers(NamedTuple):
    """All of them."""

    broker: SimulatedBroker
    table: SimulatedTable
    story: Story
    now_ms: Callable[[], int]

    def records(self, prefix: str) -> Iterator[Record]:
        """Every record of the topics whose names end so."""
        for topic in self.broker.topics:
            if topic.endswith(prefix):
                yield from self.broker.records(topic)


def _nobody_cares() -> None:
    pass


def _at_once(call: Coroutine[Any, Any, object]) -> None:
    """The memory table never suspends."""
    try:
        call.send(None)
    except StopIteration:
        return
    raise AssertionError("the memory table suspended")
