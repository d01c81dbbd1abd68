"""Which fault comes when: decided by the seed alone, every kind before any comes again."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["TABLE_LOSS", "Inflicted", "Kind", "Planned", "schedule"]


class Kind(StrEnum):
    """The kinds of faults, in the words of the report."""

    KILL = "a worker is killed (SIGKILL) and started again"
    PAUSE = "a worker is paused (SIGSTOP) until its partitions are another's, then goes on"
    ROLL = "all workers are stopped (SIGTERM) and started again, one after the other"
    JOIN = "a second worker of a service joins and leaves"
    OUTAGE = "a service is down for longer than its steps may take"
    KAFKA_RESTART = "Kafka is restarted"
    KAFKA_CRASH = "Kafka is killed (SIGKILL) and started again"
    REDIS_RESTART = "Redis is restarted"
    REDIS_CRASH = "Redis is killed (SIGKILL) and started again; all that it had written is there"
    REDIS_LOSS = "Redis is killed (SIGKILL) and has lost what it had written last"
    REDIS_FLUSH = "Redis is emptied (FLUSHALL)"
    POSTGRESQL_RESTART = "PostgreSQL is restarted"
    POSTGRESQL_CRASH = "PostgreSQL crashes (SIGQUIT) and is started again"
    POSTGRESQL_CUT = "PostgreSQL ends all connections in the middle of what they do"
    SLOW = "a service's handlers wait for a lock in their database"
    POISON = "records that nobody can handle are published"
    DUPLICATES = "records that were there are published again, at new offsets"


TABLE_LOSS = frozenset({Kind.REDIS_LOSS, Kind.REDIS_FLUSH})
"""Nothing but a rebuild from the topics helps against these."""

_GAP_S = (5.0, 9.0)
"""From one fault to the next."""
_LONG = (Kind.OUTAGE, Kind.PAUSE)
"""These take so long that they come first; the others go on beside them."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault to come. ``seed`` decides all that it has to choose."""

    at_s: float
    kind: Kind
    seed: int


@dataclass(frozen=True, slots=True)
class Inflicted:
    """A fault as it was; times from the first order on."""

    kind: Kind
    at_s: float
    took_s: float
    detail: str


def schedule(
    seconds: float, seed: int, *, without: Collection[Kind] = frozenset()
) -> Sequence[Planned]:
    """The faults of a campaign of that length. Where all kinds do not fit, they come closer."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    kinds = [kind for kind in Kind if kind not in without]
    first, last = min(5.0, seconds / 10), 0.93 * seconds
    count = max(len(kinds), int((last - first) / (sum(_GAP_S) / 2)))
    steps = [chance.uniform(*_GAP_S) for _ in range(count)]
    scale = (last - first) / sum(steps)
    order: list[Kind] = []
    while len(order) < count:
        turn = [kind for kind in kinds if kind not in _LONG]
        chance.shuffle(turn)
        order += [*(kind for kind in _LONG if kind in kinds), *turn]
    planned, at_s = [], first
    for step, kind in zip(steps, order, strict=False):
        planned.append(Planned(round(at_s, 1), kind, chance.getrandbits(32)))
        at_s += step * scale
    return planned
