"""The saga table in this process's memory: for tests, the demo and the simulator.

Owns rows and their index; keeps nothing over the end of the process. No call ever suspends, so each
is atomic. It must never be kinder than the table on Redis: the same contract suite runs on both.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from sagas.ports import Listed, Row, RowChange, Stamp

__all__ = ["MemorySagaTable"]


class _Stored:
    """One instance as it stands; changed in place."""

    __slots__ = ("events", "stamp", "state", "status", "token")

    def __init__(self) -> None:
        self.stamp: Stamp | None = None
        self.state = b""
        self.status = ""
        self.token = ""
        self.events: dict[str, bytes] = {}


class MemorySagaTable:
    """A ``SagaTable`` of dictionaries. Of each row it remembers the last change's token only."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], _Stored] = {}
        self._index: dict[tuple[str, str], dict[str, int]] = {}

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to close; the rows stay as long as this object."""

    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        """The row as it stands, or None. The events are a copy."""
        stored = self._rows.get((saga, saga_id))
        if stored is None or stored.stamp is None:
            return None
        if events:
            return Row(stored.stamp, stored.state, dict(stored.events))
        return Row(stored.stamp, stored.state)

    async def store(self, change: RowChange) -> bool:
        """Compare the stamp and apply the change, or tell that this change was the last one."""
        key = (change.saga, change.saga_id)
        stored = self._rows.get(key)
        if stored is not None and stored.token == change.token:
            return True
        if (None if stored is None else stored.stamp) != change.expected:
            return False
        if stored is None:
            stored = self._rows[key] = _Stored()
        elif stored.status != change.status:
            del self._index[change.saga, stored.status][change.saga_id]
        self._index.setdefault((change.saga, change.status), {})[change.saga_id] = change.at_ms
        stored.stamp = change.stamp
        stored.state = change.state
        stored.status = change.status
        stored.token = change.token
        stored.events.update(change.events)
        return True

    async def list_sagas(
        self, saga: str, *, statuses: Sequence[str], limit: int
    ) -> Sequence[Listed]:
        """Instances in any of the statuses, last changed first, equal times by descending id."""
        found = (
            (at_ms, saga_id, status)
            for status in dict.fromkeys(statuses)
            for saga_id, at_ms in self._index.get((saga, status), {}).items()
        )
        return [
            Listed(saga=saga, saga_id=saga_id, status=status, changed_at_ms=at_ms)
            for at_ms, saga_id, status in heapq.nlargest(limit, found)
        ]

    async def count_sagas(self, saga: str, *, statuses: Sequence[str]) -> Mapping[str, int]:
        """How many instances stand in each of the statuses, zeros included."""
        return {status: len(self._index.get((saga, status), ())) for status in statuses}
