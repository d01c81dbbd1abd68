"""Which offset may be committed, while messages of one partition finish in any order."""

from __future__ import annotations

from collections import deque

__all__ = ["OffsetTracker"]


class OffsetTracker:
    """The offsets of one partition that were begun and not finished.

    A slow message holds back the commit, not its neighbours: they are finished, and after a crash they
    are delivered again, which changes nothing.
    """

    def __init__(self) -> None:
        self._begun: deque[int] = deque()
        self._finished: set[int] = set()
        self._next: int | None = None
        self._committed: int | None = None

    @property
    def unfinished(self) -> int:
        """How many messages are begun and not finished."""
        return len(self._begun) - len(self._finished)

    def begin(self, offset: int) -> None:
        """A message is taken on. Offsets come in ascending order."""
        self._begun.append(offset)

    def pass_over(self, offset: int) -> None:
        """A message needs nothing at all: it is taken on, and finished."""
        if self._begun:
            self.begin(offset)
            self.finish(offset)
        else:
            self._next = offset + 1

    def finish(self, offset: int) -> None:
        """A message needs no redelivery any more."""
        begun, finished = self._begun, self._finished
        finished.add(offset)
        while begun and begun[0] in finished:
            done = begun.popleft()
            finished.discard(done)
            self._next = done + 1

    def committable(self) -> int | None:
        """The next offset to read after a restart, or None if that is what is committed already."""
        return None if self._next == self._committed else self._next

    def committed(self, offset: int) -> None:
        """The group has recorded ``offset``."""
        self._committed = offset
