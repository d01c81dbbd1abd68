"""A participant's journal in this process's memory: for participants without a SQL database.

Owns the recorded outcomes and tombstones; keeps nothing over the end of the process. It cannot take
an effect back: what an action did before it raised stays done. It must never leave an outcome of an
action that raised, nor run two actions of one step at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from sagas.core.definition import Direction
from sagas.ports import JournalKey, JournalOutcome, Superseded, Tombstone

__all__ = ["MemoryJournal"]

_Step = tuple[str, str, str]


class MemoryJournal:
    """A ``Journal`` of dictionaries; the transaction that actions get is the journal itself.

    All actions of one step of one instance run one after the other, whichever direction and epoch.
    An action must therefore not call the journal for its own step: it would wait for itself.
    """

    def __init__(self) -> None:
        self._outcomes: dict[JournalKey, JournalOutcome] = {}
        self._tombstones: set[JournalKey] = set()
        self._last_epochs: dict[_Step, int] = {}
        self._locks: WeakValueDictionary[_Step, asyncio.Lock] = WeakValueDictionary()

    async def forward(
        self, key: JournalKey, action: Callable[[object], Awaitable[JournalOutcome]]
    ) -> JournalOutcome:
        """Run the action, or return what is recorded. Raises Tombstone and what the action does."""
        async with self._lock(key):
            if key in self._tombstones:
                raise Tombstone(f"{key}: the step was undone before it was performed")
            recorded = self._outcomes.get(key)
            if recorded is None:
                recorded = self._outcomes[key] = await action(self)
            return recorded

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
    ) -> JournalOutcome:
        """Run the undo unless its outcome is recorded; leave a tombstone where nothing was done.

        Raises Superseded if an undo with a higher epoch is recorded, and what
        the action does.
        """
        step = key[:3]
        async with self._lock(key):
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
            self._last_epochs[step] = key.epoch
            return outcome

    def _lock(self, key: JournalKey) -> asyncio.Lock:
        return self._locks.setdefault(key[:3], asyncio.Lock())
