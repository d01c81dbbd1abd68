"""A topic of the memory broker: its partitions' logs, and which partition a key goes to.

Owns the records. Knows nothing of groups beyond whom to wake when a record arrives.
"""

from __future__ import annotations

import re
import zlib
from typing import Protocol

from sagas.core.errors import SettingsError
from sagas.ports import OutgoingRecord, Record, TopicPartition

__all__ = ["Partition", "Reader", "Topic"]

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class Reader(Protocol):
    """Somebody who may be waiting for records of a partition."""

    def arrived(self) -> None:
        """A record was appended."""


class Partition:
    """One partition's log; an offset is an index into it, because nothing is ever deleted."""

    __slots__ = ("id", "log", "readers")

    def __init__(self, topic: str, number: int) -> None:
        self.id = TopicPartition(topic, number)
        self.log: list[Record] = []
        self.readers: list[Reader] = []


class Topic:
    """Partitions, and all their records once more in the order of publishing."""

    __slots__ = ("_turn", "name", "partitions", "records", "replication_factor")

    def __init__(self, name: str, *, partitions: int, replication_factor: int = 1) -> None:
        if not _LEGAL_NAME.fullmatch(name) or name in {".", ".."}:
            raise SettingsError(
                f"{name!r} cannot be a topic's name: it needs 1 to 249 of a-z A-Z 0-9 . _ -"
            )
        if partitions < 1:
            raise SettingsError(f"topic {name} needs at least one partition, not {partitions}")
        self.name = name
        self.replication_factor = replication_factor
        self.partitions = [Partition(name, number) for number in range(partitions)]
        self.records: list[Record] = []
        self._turn = 0

    def append(self, record: OutgoingRecord, *, timestamp_ms: int) -> None:
        """Store the record at the end of its key's partition and wake who waits there."""
        partition = self._partition_of(record.key)
        log = partition.log
        stored = Record(
            record.topic,
            partition.id.partition,
            len(log),
            record.key,
            record.value,
            record.headers,
            timestamp_ms,
        )
        log.append(stored)
        self.records.append(stored)
        for reader in partition.readers:
            reader.arrived()

    def _partition_of(self, key: bytes | None) -> Partition:
        """By the key's checksum: the same in every process, and across topics of equal size."""
        if key is None:
            self._turn += 1
            return self.partitions[self._turn % len(self.partitions)]
        return self.partitions[zlib.crc32(key) % len(self.partitions)]
