"""The names of the table's keys, and of what stands in them. The only place that knows them."""

from __future__ import annotations

from sagas.adapters.redis.members import SEPARATOR
from sagas.core.errors import ContractViolation
from sagas.ports import BUCKETS, bucket_of

__all__ = ["Keys"]


class Keys:
    """The keys of one namespace. All of one bucket share its hash tag, so a slot of Redis Cluster."""

    def __init__(self, namespace: str) -> None:
        self._prefixes: dict[str, tuple[tuple[str, str], ...]] = {}
        tags = tuple(f"{namespace}:{{b{bucket:03}}}" for bucket in range(BUCKETS))
        self.markers = tuple(f"{tag}:markers" for tag in tags)
        self.timers = tuple(f"{tag}:timers" for tag in tags)
        self._tags = tags
        self.workers = f"{tags[0]}:workers"

    def worker(self, worker_id: str) -> str:
        """What a worker says of itself."""
        return f"{self._tags[0]}:worker:{worker_id}"

    def lease(self, saga: str) -> str:
        """Who holds the lease on rebuilding a saga."""
        return f"{self._tags[0]}:lease:{saga}"

    def definitions(self, saga: str) -> str:
        """The definitions that workers of the saga have started with, by fingerprint."""
        return f"{self._tags[0]}:definitions:{saga}"

    def instance(self, saga: str, saga_id: str) -> tuple[str, str]:
        """The instance's hash, and the prefix of its bucket's indexes."""
        prefixes = self._prefixes.get(saga) or self.of_saga(saga)
        row, index = prefixes[bucket_of(saga_id)]
        return row + saga_id, index

    def indexes(self, saga: str, status: str) -> list[str]:
        """The index of a status in every bucket."""
        return [index + status for _, index in self.of_saga(saga)]

    def of_saga(self, saga: str) -> tuple[tuple[str, str], ...]:
        """For each bucket the prefix of the rows, and that of the indexes."""
        prefixes = self._prefixes.get(saga)
        if prefixes is None:
            if ":" in saga or SEPARATOR in saga:
                raise ContractViolation(
                    f"The saga name {saga!r} has a colon or U+001F, which separate keys."
                )
            prefixes = tuple((f"{tag}:saga:{saga}:", f"{tag}:index:{saga}:") for tag in self._tags)
            self._prefixes[saga] = prefixes
        return prefixes
