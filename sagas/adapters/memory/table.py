"""The saga table in this process's memory: for tests, the demo and the simulator.

Owns rows, their index and their timers; keeps nothing over the end of the process. No call ever
suspends, so each is atomic. It must never be kinder than the table on Redis: the same contract suite runs
on both.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sagas.adapters.memory.listing import MemoryListing
from sagas.adapters.memory.markers import Markers
from sagas.core.errors import ContractViolation
from sagas.core.instance import SagaStatus
from sagas.ports import BUCKETS, Listed, Row, RowChange, Stamp, Timer, bucket_of
from sagas.restoring import Marker

__all__ = ["MemorySagaTable"]


class _Stored:
    """One instance as it stands; changed in place."""

    __slots__ = ("content", "events", "notes", "stamp", "state", "status", "token")

    def __init__(self) -> None:
        self.stamp: Stamp | None = None
        self.state = b""
        self.status = ""
        self.token = ""
        self.content = ""
        self.events: dict[str, bytes] = {}
        self.notes: dict[str, str] = {}


class MemorySagaTable:
    """A ``RestorableTable`` of dictionaries. Of each row it remembers the last change's token only.

    It is born ready: whatever it may have lost went with the process, and so did the topics in memory.
    ``wipe`` is what FLUSHALL is to Redis.
    """

    def __init__(self) -> None:
        self._markers = Markers()
        self._rows: dict[tuple[str, str], _Stored] = {}
        self._index: dict[tuple[str, str], dict[str, int]] = {}
        self.listing = MemoryListing(self._index)
        self._timers: list[dict[str, Timer]] = [{} for _ in range(BUCKETS)]

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to close; the rows stay as long as this object."""

    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        """The row as it stands, or None. Its events and notes are copies."""
        stored = self._rows.get((saga, saga_id))
        if stored is None or stored.stamp is None:
            self._markers.look(saga, bucket_of(saga_id))
            return None
        recorded = dict(stored.events) if events else {}
        return Row(stored.stamp, stored.state, recorded, dict(stored.notes), stored.content)

    async def store(self, change: RowChange) -> bool:
        """Compare the stamp and apply the change, or tell that this change was the last one."""
        if change.timers_set or change.timers_cleared:
            _check_names(change)
        key = (change.saga, change.saga_id)
        generation = self._markers.look(change.saga, bucket_of(change.saga_id))
        stored = self._rows.get(key)
        if stored is not None and stored.token == change.token:
            return True
        if (None if stored is None else stored.stamp) != change.expected:
            return False
        if stored is None and change.stamp.generation != generation:
            return False
        self._apply(stored, change)
        return True

    def _apply(self, stored: _Stored | None, change: RowChange) -> None:
        if stored is None:
            stored = _Stored()
            self._rows[change.saga, change.saga_id] = stored
        elif stored.status != change.status:
            del self._index[change.saga, stored.status][change.saga_id]
        self._index.setdefault((change.saga, change.status), {})[change.saga_id] = change.at_ms
        stored.stamp = change.stamp
        stored.state = change.state
        stored.status = change.status
        stored.token = change.token
        stored.content = change.content or stored.content
        stored.events.update(change.events)
        if change.timers_cleared or change.timers_set:
            self._move_timers(stored, change)

    def _move_timers(self, stored: _Stored, change: RowChange) -> None:
        saga, saga_id = change.saga, change.saga_id
        timers = self._timers[bucket_of(saga_id)]
        instance = _member(saga, saga_id, "")
        for name in change.timers_cleared:
            timers.pop(instance + name, None)
            stored.notes.pop(name, None)
        for name, due_ms in change.timers_set.items():
            timers[instance + name] = Timer(saga, saga_id, name, due_ms)

    async def forget_events(self, saga: str, saga_id: str, slots: Collection[str]) -> None:
        """Drop the bytes of recorded events."""
        stored = self._rows.get((saga, saga_id))
        if stored is not None:
            for slot in slots:
                stored.events.pop(slot, None)

    async def list_sagas(
        self, saga: str, *, statuses: Sequence[str], limit: int
    ) -> Sequence[Listed]:
        """Instances in any of the statuses, last changed first, equal times by descending id."""
        return _listed(saga, heapq.nlargest(limit, self._indexed(saga, statuses)))

    def _indexed(self, saga: str, statuses: Sequence[str]) -> Iterator[tuple[int, str, str]]:
        """When each instance was changed, its id and its status."""
        return (
            (at_ms, saga_id, status)
            for status in dict.fromkeys(statuses)
            for saga_id, at_ms in self._index.get((saga, status), {}).items()
        )

    async def count_sagas(self, saga: str, *, statuses: Sequence[str]) -> Mapping[str, int]:
        """How many instances stand in each of the statuses, zeros included."""
        return {status: len(self._index.get((saga, status), ())) for status in statuses}

    async def due_timers(
        self, *, buckets: Collection[int], now_ms: int, limit: int
    ) -> Sequence[Timer]:
        """Timers due by now in these buckets, earliest first, at most ``limit`` in all."""
        return _earliest(
            (
                timer
                for bucket in frozenset(buckets)
                for timer in self._timers[bucket].values()
                if timer.due_ms <= now_ms
            ),
            limit,
        )

    async def postpone_timer(self, timer: Timer, due_ms: int) -> bool:
        """Move a timer that is still set, whenever it is due by now."""
        timers = self._timers[bucket_of(timer.saga_id)]
        member = _member(timer.saga, timer.saga_id, timer.name)
        if member not in timers:
            return False
        timers[member] = timer._replace(due_ms=due_ms)
        return True

    async def annotate(
        self, saga: str, saga_id: str, name: str, note: str | None, *, due_ms: int | None = None
    ) -> bool:
        """Keep or remove a note of a row that is there, and set or clear the timer of its name."""
        stored = self._rows.get((saga, saga_id))
        if stored is None:
            return False
        timers, member = self._timers[bucket_of(saga_id)], _member(saga, saga_id, name)
        if note is None:
            stored.notes.pop(name, None)
            timers.pop(member, None)
            return True
        stored.notes[name] = note
        if due_ms is not None:
            timers[member] = Timer(saga, saga_id, name, due_ms)
        return True

    async def list_timers(self, saga: str, *, limit: int) -> Sequence[Timer]:
        """The timers of one saga's instances, earliest first; looks at all there are."""
        return _earliest(
            (timer for bucket in self._timers for timer in bucket.values() if timer.saga == saga),
            limit,
        )

    # --- loss --------------------------------------------------------------------------------------

    def generation(self, saga: str, saga_id: str) -> int:
        """The generation of the bucket's marker as it is now, 1 without one."""
        marker = self._markers.of(saga)[bucket_of(saga_id)]
        return 1 if marker is None else marker.generation

    async def markers(self, saga: str) -> Sequence[Marker | None]:
        """The marker of each bucket."""
        return tuple(self._markers.of(saga))

    async def lease(self, saga: str, token: str, *, ttl_ms: int) -> bool:
        """Take or keep the lease."""
        return self._markers.lease(saga, token, ttl_ms=ttl_ms)

    async def release(self, saga: str, token: str) -> None:
        """Give the lease back."""
        self._markers.release(saga, token)

    async def begin_rebuild(self, saga: str, buckets: Collection[int], token: str) -> int:
        """Mark the buckets as being rebuilt."""
        return self._markers.begin(saga, buckets, token)

    async def restore(self, change: RowChange, token: str) -> bool:
        """Put the whole row in place of whatever is there."""
        bucket = bucket_of(change.saga_id)
        if not self._markers.rebuilt_by(change.saga, bucket, token):
            return False
        self._forget(change.saga, change.saga_id)
        for name in change.timers_cleared:
            self._timers[bucket].pop(_member(change.saga, change.saga_id, name), None)
        self._apply(None, change)
        return True

    async def finish_rebuild(
        self, saga: str, buckets: Collection[int], token: str, generation: int
    ) -> bool:
        """Mark the buckets as ready."""
        return self._markers.finish(saga, buckets, token, generation)

    async def saga_ids(self, saga: str, bucket: int) -> Sequence[str]:
        """The instances in the bucket."""
        return [one for name, one in self._rows if name == saga and bucket_of(one) == bucket]

    async def sweep(self, saga: str, *, before_ms: int, limit: int) -> int:
        """Forget what has ended before that moment."""
        swept = [
            saga_id
            for status in SagaStatus
            if status.is_terminal
            for saga_id, at_ms in self._index.get((saga, status), {}).items()
            if at_ms < before_ms
        ]
        for saga_id in swept[:limit]:
            self._forget(saga, saga_id)
        return len(swept[:limit])

    def wipe(self) -> None:
        """Lose everything, markers and lease included."""
        self._markers = Markers(ready=False)
        self._rows.clear()
        self._index.clear()
        for timers in self._timers:
            timers.clear()

    def _forget(self, saga: str, saga_id: str) -> None:
        stored = self._rows.pop((saga, saga_id), None)
        if stored is not None:
            del self._index[saga, stored.status][saga_id]


def _listed(saga: str, found: Iterable[tuple[int, str, str]]) -> list[Listed]:
    return [
        Listed(saga=saga, saga_id=saga_id, status=status, changed_at_ms=at_ms)
        for at_ms, saga_id, status in found
    ]


def _check_names(change: RowChange) -> None:
    names = (*change.timers_cleared, *change.timers_set)
    if "\x1f" not in "".join(names):
        return
    for name in names:
        if "\x1f" in name:
            raise ContractViolation(f"The timer name {name!r} has U+001F.")


def _member(saga: str, saga_id: str, name: str) -> str:
    """A timer's key in its bucket: what orders timers that are due at one moment, as on Redis."""
    return f"{saga}\x1f{saga_id}\x1f{name}"


def _earliest(timers: Iterable[Timer], limit: int) -> list[Timer]:
    return heapq.nsmallest(limit, timers, key=lambda timer: (timer.due_ms, _member(*timer[:3])))
