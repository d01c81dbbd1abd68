"""The ids of events that this process has had acknowledged, the latest some thousands of them."""

from __future__ import annotations

__all__ = ["RecentIds"]


class RecentIds:
    """A set with a bound; the oldest half is forgotten when it is full.

    In a fault-free run it spares the second emission of an event that several messages can enable: one
    of them came early and acted, and the next finds the event recorded and not proven published.
    """

    def __init__(self, ids_max: int = 20_000) -> None:
        self._half = ids_max // 2
        self._recent: set[str] = set()
        self._older: set[str] = set()

    def __contains__(self, id_: object) -> bool:
        return id_ in self._recent or id_ in self._older

    def add(self, id_: str) -> None:
        """Remember an id."""
        self._recent.add(id_)
        if len(self._recent) >= self._half:
            self._older, self._recent = self._recent, set()
