"""Counts in tumbling windows of event time, exact: what was added can be taken back.

Owns the windows and how long they are kept. A window is a count for each key, so windows are merged by
adding them up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from sagas.monitoring.standing import Contribution, Key

__all__ = ["Windows"]

_Place = tuple[str, int]


class Windows:
    """The windows of all sagas, ``width_ms`` wide. Those that begin before the floor are gone for good."""

    def __init__(self, width_ms: int) -> None:
        self.width_ms = width_ms
        self.floor_ms = 0
        self._counts: dict[_Place, dict[Key, int]] = {}
        self._touched: set[_Place] = set()

    def change(
        self, saga: str, before: Iterable[Contribution], after: Iterable[Contribution]
    ) -> None:
        """Take back what an instance added before, and add what it adds now."""
        difference = Counter(after)
        difference.subtract(before)
        for (at_ms, key), count in difference.items():
            start_ms = self.start_of(at_ms)
            if count and start_ms >= self.floor_ms:
                self._add((saga, start_ms), key, count)

    def _add(self, place: _Place, key: Key, count: int) -> None:
        counts = self._counts.setdefault(place, {})
        counts[key] = counts.get(key, 0) + count
        if not counts[key]:
            del counts[key]
            if not counts:
                del self._counts[place]
        self._touched.add(place)

    def start_of(self, at_ms: int) -> int:
        """When the window of a moment begins."""
        return at_ms - at_ms % self.width_ms

    def drop_before(self, floor_ms: int) -> None:
        """Forget the windows that begin before that moment; whatever is added to them later is lost."""
        if floor_ms <= self.floor_ms:
            return
        self.floor_ms = floor_ms
        for place in [place for place in self._counts if place[1] < floor_ms]:
            del self._counts[place]
            self._touched.add(place)

    def of(self, saga: str, *, since_ms: int = 0) -> Iterator[tuple[int, dict[Key, int]]]:
        """The saga's windows that begin at that moment or later, oldest first, with their counts. A window
        in which nothing happened is left out.
        """
        for place in sorted(self._counts):
            if place[0] == saga and place[1] >= since_ms:
                yield place[1], self._counts[place]

    def put(self, saga: str, start_ms: int, counts: dict[Key, int]) -> None:
        """Put a window back that was kept."""
        self._counts[saga, start_ms] = counts

    def touched(self) -> Iterator[tuple[str, int, dict[Key, int] | None]]:
        """Each window that was changed since this was asked last; None for one that is gone."""
        touched, self._touched = self._touched, set()
        for place in touched:
            yield *place, self._counts.get(place)

    def __len__(self) -> int:
        return len(self._counts)
