"""What is measured: a system, how it is run, and the servers that it runs on."""

from __future__ import annotations

import os
from dataclasses import dataclass

from benchmarks import usage

__all__ = ["FRAMEWORK", "PIPELINE", "Servers", "Setup"]

PIPELINE, FRAMEWORK = "pipeline", "framework"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One configuration. Two setups that differ in the system only do the same work."""

    system: str = FRAMEWORK
    one_process: bool = False
    journal: str = "off"
    partitions: int = 4
    payload_bytes: int = 300
    declined: float = 0.1
    log_level: str = "WARNING"
    watched_by: str = ""
    """``metrics``, ``tracing``, or nobody."""
    live: int = 0
    """So many other instances are in the table already."""

    @property
    def name(self) -> str:
        """In words, saying what is not as usual."""
        usual = Setup()
        differs = {
            "one process": self.one_process,
            f"journal {self.journal}": self.journal != usual.journal,
            f"{self.partitions} partitions": self.partitions != usual.partitions,
            f"{self.payload_bytes} bytes": self.payload_bytes != usual.payload_bytes,
            f"{self.declined:.0%} declined": self.declined != usual.declined,
            f"log level {self.log_level}": self.log_level != usual.log_level,
            self.watched_by: self.watched_by != usual.watched_by,
            f"{self.live:,} live": self.live != usual.live,
        }
        return ", ".join((self.system, *(words for words, is_so in differs.items() if is_so)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Addresses as clients need them, and process ids where they are known."""

    kafka: str
    redis: str
    postgresql: str
    pids: dict[str, int]

    @classmethod
    def from_environment(cls) -> Servers:
        """As ``scripts/stack`` writes them. Raises KeyError for a server that is not there."""
        return cls(
            kafka=os.environ["SAGAS_KAFKA"],
            redis=os.environ["SAGAS_REDIS"],
            postgresql=os.environ["SAGAS_POSTGRESQL"],
            pids={
                name: int(os.environ[variable])
                for name, variable in (
                    ("broker", "SAGAS_KAFKA_PID"),
                    ("redis", "SAGAS_REDIS_PID"),
                    ("postgresql", "SAGAS_POSTGRESQL_PID"),
                )
                if variable in os.environ
            },
        )

    def groups(self, workers: set[int]) -> dict[str, set[int]]:
        """The processes whose use is told apart."""
        return {
            "workers": workers,
            **{name: usage.with_children(pid) for name, pid in self.pids.items()},
            "driver": {os.getpid()},
        }
