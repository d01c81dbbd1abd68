"""The markers of the table in memory, and the leases on rebuilding it. Owns them and nothing of the rows."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from sagas.ports import BUCKETS
from sagas.restoring import Marker, TableLost, TableRebuilding

__all__ = ["Markers"]


class Markers:
    """For each saga one marker for each bucket, or None; changed in place."""

    def __init__(self, *, ready: bool = True) -> None:
        self._first = Marker(1) if ready else None
        self._markers: dict[str, list[Marker | None]] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._condemned: dict[str, list[Marker | None]] = {}

    def of(self, saga: str) -> list[Marker | None]:
        """The markers of a saga."""
        markers = self._markers.get(saga)
        if markers is None:
            markers = self._markers[saga] = [self._first] * BUCKETS
        return markers

    def look(self, saga: str, bucket: int) -> int:
        """The generation of a bucket that is ready. Raises TableLost, TableRebuilding."""
        marker = (self._markers.get(saga) or self.of(saga))[bucket]
        if marker is None:
            raise TableLost(f"The table in memory has lost bucket {bucket} of {saga}: rebuild it.")
        generation, token = marker
        if token is not None:
            raise TableRebuilding(f"Bucket {bucket} of {saga} in memory is being rebuilt: wait.")
        return generation

    def condemn(self) -> None:
        """Declare everything lost, as a server that was restarted does; generations stay known."""
        for saga, markers in self._markers.items():
            self._condemned[saga] = [
                marker or known for marker, known in zip(markers, self._known(saga), strict=True)
            ]
            markers[:] = [None] * BUCKETS
        self._first = None

    def _known(self, saga: str) -> list[Marker | None]:
        return self._condemned.get(saga, [None] * BUCKETS)

    def lease(self, saga: str, token: str, *, ttl_ms: int) -> bool:
        """Take or keep the lease; it ends by the event loop's time, which may be virtual."""
        now_s = asyncio.get_running_loop().time()
        holder, until_s = self._leases.get(saga, ("", now_s))
        if holder != token and now_s < until_s:
            return False
        self._leases[saga] = token, now_s + ttl_ms / 1000
        return True

    def release(self, saga: str, token: str) -> None:
        """Give it back."""
        if self._leases.get(saga, ("", 0.0))[0] == token:
            del self._leases[saga]

    def begin(self, saga: str, buckets: Collection[int], token: str) -> int:
        """Mark buckets as being rebuilt; the highest generation that they knew."""
        markers, before, highest = self.of(saga), self._known(saga), 0
        for bucket in buckets:
            marker = markers[bucket] or before[bucket]
            known = 0 if marker is None else marker.generation
            markers[bucket], highest = Marker(known, token), max(highest, known)
        return highest

    def rebuilt_by(self, saga: str, bucket: int, token: str) -> bool:
        """Whether the token's owner is rebuilding the bucket."""
        marker = self.of(saga)[bucket]
        return marker is not None and marker.token == token

    def finish(self, saga: str, buckets: Collection[int], token: str, generation: int) -> bool:
        """Mark buckets as ready; False if one is not the token's."""
        markers, ready, done = self.of(saga), Marker(generation), True
        for bucket in buckets:
            marker = markers[bucket]
            if marker is not None and marker.token == token:
                markers[bucket] = ready
            elif marker != ready:
                done = False
        return done
