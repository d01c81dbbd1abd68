"""The fold of all that was seen: instances, the counts of their windows, and who has ended and is gone.

Owns what is kept, and for how long. It is told how far the topics are read and has no clock of its own, so
it does not matter whether it follows sagas as they run or reads the history of a week in a minute. The
same events, in any order and any number of times, give the same counts: each instance adds what follows from
all of its events, and what it added before is taken back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from heapq import nsmallest

from sagas.core.definition import Definition
from sagas.core.refold import Found
from sagas.monitoring.contracts import Seen
from sagas.monitoring.policy import Objective, Policy
from sagas.monitoring.standing import Standing, merged, place_of, standing_of
from sagas.monitoring.windows import Windows

__all__ = ["Board", "Events", "InstanceOf"]

InstanceOf = tuple[str, str]
"""The saga's name and the saga id."""
Events = dict[str, Found]
"""The events of one instance, each in its place."""

_EVENTS_MAX = 500
"""Of one instance. Saga ids are anybody's to use: who publishes thousands of starts of one must not fill the
memory, nor have every one of them folded again and again.
"""


class Board:
    """What is known of the instances of some sagas, by their definitions. One task uses it at a time.

    ``tally`` counts what was left out since the process began, by reason.
    """

    def __init__(self, definitions: Mapping[str, Definition], policy: Policy) -> None:
        self.definitions = definitions
        self.policy = policy
        self.windows = Windows(policy.window_ms)
        self.passed_ms = 0
        self.tally: Counter[str] = Counter()
        self._events: dict[InstanceOf, Events] = {}
        self._standings: dict[InstanceOf, Standing] = {}
        self._unsettled: set[InstanceOf] = set()
        self._leaving: set[InstanceOf] = set()
        self._ended: dict[int, int] = {}
        self._ended_count = 0
        self._touched: set[InstanceOf] = set()
        self._touched_ended: dict[int, int | None] = {}

    def add(self, seen: Seen) -> None:
        """Take note of an event. Safe to repeat; of what has ended and is gone nothing counts any more."""
        instance = (seen.saga, seen.saga_id)
        events = self._events.get(instance)
        if events is None:
            if _digest_of(instance) in self._ended:
                self.tally["of_ended"] += 1
                return
            events = self._events[instance] = {}
        place = place_of(seen.found)
        known = events.get(place)
        if known is None and len(events) >= _EVENTS_MAX:
            self.tally["too_many_of_one"] += 1
            return
        found = seen.found if known is None else merged(known, seen.found)
        if found is not known:
            events[place] = found
            self._unsettled.add(instance)

    def settle(self) -> None:
        """Bring the standings, and the counts, up to all that was added. What is added again and again in
        the meantime is folded once.
        """
        for instance in self._unsettled:
            self._settle(instance)
        self._touched |= self._unsettled
        self._unsettled.clear()

    def _settle(self, instance: InstanceOf) -> None:
        saga, saga_id = instance
        before = self._standings.get(instance)
        after = standing_of(
            self.definitions[saga],
            saga_id,
            self._events[instance].values(),
            self._objectives_of(saga),
        )
        if after is not None:
            self._standings[instance] = after
        elif before is not None:
            del self._standings[instance]
        self.windows.change(
            saga,
            () if before is None else before.contributions,
            () if after is None else after.contributions,
        )
        if after is None or after.has_ended:
            self._leaving.add(instance)
        else:
            self._leaving.discard(instance)

    def _objectives_of(self, saga: str) -> list[Objective]:
        return [one for one in self.policy.objectives if one.saga == saga]

    def sweep(self, passed_ms: int) -> None:
        """Let go what is over, now that all topics are read up to that moment, milliseconds since the epoch:
        old windows, instances that have ended, and those whose start is on no topic any more.
        """
        self.settle()
        self.passed_ms = max(self.passed_ms, passed_ms)
        floor_ms = self.passed_ms - self.policy.keep_ms
        self.windows.drop_before(self.windows.start_of(max(0, floor_ms)))
        over_ms = self.passed_ms - self.policy.settle_ms
        for instance in [one for one in self._leaving if self._newest_ms(one) < over_ms]:
            if instance in self._standings:
                self._remember(instance)
            else:
                self.tally["without_a_start"] += 1
            self._drop(instance)
        for instance in self._excess():
            self.tally["too_many"] += 1
            self._remember(instance)
            self._drop(instance)

    def _newest_ms(self, instance: InstanceOf) -> int:
        """When an event of it was published last: it may have been decided long before."""
        return max(found.published_ms for found in self._events[instance].values())

    def _excess(self) -> list[InstanceOf]:
        """The instances beyond the bound: of which nothing was heard for longest."""
        excess = len(self._events) - self.policy.sagas_max
        return nsmallest(excess, self._events, key=self._newest_ms) if excess > 0 else []

    def _remember(self, instance: InstanceOf) -> None:
        self._ended_count += 1
        self._ended[_digest_of(instance)] = self._ended_count
        self._touched_ended[_digest_of(instance)] = self._ended_count
        while len(self._ended) > self.policy.ended_max:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self._touched_ended[oldest] = None

    def _drop(self, instance: InstanceOf) -> None:
        del self._events[instance]
        self._standings.pop(instance, None)
        self._leaving.discard(instance)
        self._touched.add(instance)

    def standings(self) -> Iterator[tuple[InstanceOf, Standing]]:
        """Every instance that is kept and whose start is known, as it was settled last."""
        yield from self._standings.items()

    @property
    def without_start(self) -> int:
        """How many instances are known by other events than their start: it may still be read."""
        return len(self._events) - len(self._standings)

    # --- what is kept over a restart ------------------------------------------------------------------

    def touched(self) -> Iterator[tuple[InstanceOf, Events | None]]:
        """Each instance that was changed since this was asked last; None for one that is gone."""
        touched, self._touched = self._touched, set()
        for instance in touched:
            yield instance, self._events.get(instance)

    def touched_ended(self) -> Mapping[int, int | None]:
        """The digests of the instances that have ended and are gone, with their number, since this was asked
        last; None for one that is not recognised any more.
        """
        touched, self._touched_ended = self._touched_ended, {}
        return touched

    def put(self, instance: InstanceOf, events: Events) -> None:
        """Put an instance back that was kept; its counts are in the windows already."""
        saga, saga_id = instance
        self._events[instance] = events
        standing = standing_of(
            self.definitions[saga], saga_id, events.values(), self._objectives_of(saga)
        )
        if standing is not None:
            self._standings[instance] = standing
        if standing is None or standing.has_ended:
            self._leaving.add(instance)

    def put_ended(self, numbers: Mapping[int, int]) -> None:
        """Put back who has ended and is gone: digests with their number."""
        self._ended = dict(sorted(numbers.items(), key=lambda item: item[1]))
        self._ended_count = max(numbers.values(), default=0)


def _digest_of(instance: InstanceOf) -> int:
    text = "\x1f".join(instance).encode()
    return int.from_bytes(blake2b(text, digest_size=7).digest())
