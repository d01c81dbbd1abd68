"""A participant's journal in this process's memory: for participants without a SQL database.

Owns the recorded outcomes and tombstones; keeps nothing over the end of the process. It cannot take
an effect back: what an action did before it raised stays done. It must never leave an outcome of an
action that raised, nor run two actions of one step at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from weakref import WeakValueDictionary

from sagas.core.definition import Direction
from sagas.ports import Clock, InstanceKey, JournalKey, JournalOutcome, Superseded, Tombstone

__all__ = ["MemoryJournal"]

_Step = tuple[str, str, str]


class MemoryJournal:
    """A ``Journal`` of dictionaries; the transaction that actions get is the journal itself.

    All actions of one step of one instance run one after the other, whichever direction and epoch.
    An action must therefore not call the journal for its own step: it would wait for itself.
    Without a ``clock`` nothing in it ever grows old.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._recorded_ms: dict[JournalKey, int] = {}
        self._outcomes: dict[JournalKey, JournalOutcome] = {}
        self._tombstones: set[JournalKey] = set()
        self._last_epochs: dict[_Step, int] = {}
        self._locks: WeakValueDictionary[_Step, asyncio.Lock] = WeakValueDictionary()

    async def forward(
        self,
        key: JournalKey,
        action: Callable[[object], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Run the action, or return what is recorded. Raises Tombstone and what the action does."""
        async with self._lock(key):
            self._discard(key[:3], since_ms)
            if key in self._tombstones:
                raise Tombstone(f"{key}: the step was undone before it was performed")
            recorded = self._outcomes.get(key)
            if recorded is None:
                recorded = self._outcomes[key] = await action(self)
                self._note(key)
            return recorded

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Run the undo unless its outcome is recorded; leave a tombstone where nothing was done.

        Raises Superseded if an undo with a higher epoch is recorded, and what
        the action does.
        """
        step = key[:3]
        async with self._lock(key):
            self._discard(step, since_ms)
            recorded = self._outcomes.get(key)
            if recorded is not None:
                return recorded
            last = self._last_epochs.get(step, -1)
            if last > key.epoch:
                raise Superseded(f"{key}: the step was undone under epoch {last} already")
            forward = key._replace(direction=Direction.FORWARD, epoch=0)
            performed = self._outcomes.get(forward)
            outcome = self._outcomes[key] = await action(self, performed)
            if performed is None:
                self._tombstones.add(forward)
                self._note(forward)
            self._note(key)
            self._last_epochs[step] = key.epoch
            return outcome

    async def aged(self, *, before_ms: int, skip: int, limit: int) -> Sequence[InstanceKey]:
        """The instance of each row from before, oldest first."""
        old = [key for key, at_ms in self._recorded_ms.items() if at_ms < before_ms]
        old.sort(key=self._recorded_ms.__getitem__)
        return [(key.saga, key.saga_id) for key in old[skip : skip + limit]]

    async def forget(self, instances: Collection[InstanceKey], *, before_ms: int) -> int:
        """Drop what was recorded for these instances before, and how many rows that were."""
        wanted = frozenset(instances)
        return self._drop(lambda key: (key.saga, key.saga_id) in wanted, before_ms)

    def _discard(self, step: _Step, since_ms: int) -> None:
        if since_ms:
            self._drop(lambda key: key[:3] == step, since_ms)

    def _drop(self, concerns: Callable[[JournalKey], bool], before_ms: int) -> int:
        recorded = self._recorded_ms.items()
        old = [key for key, at_ms in recorded if at_ms < before_ms and concerns(key)]
        for key in old:
            del self._recorded_ms[key]
            self._outcomes.pop(key, None)
            self._tombstones.discard(key)
            self._last_epochs.pop(key[:3], None)
        return len(old)

    def _note(self, key: JournalKey) -> None:
        if self._clock is not None:
            self._recorded_ms[key] = self._clock.now_ms()

    def _lock(self, key: JournalKey) -> asyncio.Lock:
        return self._locks.setdefault(key[:3], asyncio.Lock())
