"""A table in memory that loses what it has confirmed: all of it, or the last writes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sagas.adapters.memory.table import MemorySagaTable
from sagas.ports import RowChange

__all__ = ["ForgetfulTable"]

_REMEMBERED = 20


class ForgetfulTable(MemorySagaTable):
    """Remembers what it was before each of the last writes."""

    def __init__(self) -> None:
        super().__init__()
        self._before: list[Any] = []

    async def store(self, change: RowChange) -> bool:
        before = deepcopy((self._rows, self._index, self._timers))
        stored = await super().store(change)
        if stored:
            self._before = [*self._before[1 - _REMEMBERED :], before]
        return stored

    def is_ready(self, saga: str) -> bool:
        """Whether nothing of the saga is lost."""
        return all(one is not None and one.token is None for one in self._markers.of(saga))

    def wipe(self) -> None:
        super().wipe()
        self._before = []

    def lose_last(self, writes: int) -> None:
        """What a server is after a crash: some seconds ago, and every client notices at once."""
        if self._before:
            first = max(0, len(self._before) - writes)
            self._rows, self._index, self._timers = self._before[first]
            self._before = []
        self._markers.condemn()
