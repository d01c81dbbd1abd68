"""Compares a saga's part of the table with what the topics justify (I13). Looks only.

Owns what counts as a difference. A saga that goes on meanwhile is none: what is recorded and not emitted
yet, or told from outside and not handled yet, is normal.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from sagas.core.errors import ContractViolation, InvalidMessage
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.refold import Found, refold
from sagas.core.timers import PROOF, RETRY, timers_of
from sagas.ports import Row, Timer, bucket_of
from sagas.runtime.histories import found_in_row
from sagas.runtime.rebuild import Means

__all__ = ["Difference", "Kind", "Verification"]

_AT_ONCE = 500
_EVER_MS = 2**52
_ALL = 2**31


class Kind(StrEnum):
    """What differs."""

    MISSING = "row missing"
    UNREADABLE = "row unreadable"
    UNJUSTIFIED = "row not justified"
    EVENT_MISSING = "event missing"
    EVENT_UNJUSTIFIED = "event not justified"
    EVENT_DIFFERS = "event differs"
    STATE = "state differs"
    STATUS = "index differs"
    TIMERS = "timers differ"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of one instance: what the table has, and what the topics say."""

    saga: str
    saga_id: str
    kind: Kind
    table: str
    topics: str


class Verification:
    """Verifies one saga. ``retention_ms`` is how long the topics keep events at least, -1 for ever."""

    def __init__(self, means: Means, *, retention_ms: int = -1) -> None:
        self._means = means
        self._saga = means.saga
        self._histories = means.histories
        self._table = means.table
        self._clock = means.clock
        self._retention_ms = retention_ms
        self._timers: dict[str, set[str]] = {}
        self._indexed: dict[str, list[str]] = {}
        self.instances = 0
        self.records = 0

    async def differences(
        self,
        *,
        wanted: Callable[[str], bool] = lambda _: True,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> AsyncIterator[Difference]:
        """Every difference of the wanted instances; two looks, so that what only goes on is none.

        Raises TableUnavailable, TableLost and BrokerUnavailable.
        """
        suspects = {one.saga_id async for one in self._look(wanted, on_progress)}
        self.instances, first = 0, self.instances
        if suspects:
            async for one in self._look(suspects.__contains__, lambda *_: None):
                yield one
        self.instances = first

    async def _look(
        self, wanted: Callable[[str], bool], on_progress: Callable[[int, int], None]
    ) -> AsyncIterator[Difference]:
        seen: set[str] = set()
        homeless: dict[str, list[Found]] = {}
        portions = await self._histories.portions()
        for number, partitions in enumerate(portions):
            on_progress(number, len(portions))
            portion = await self._histories.read(partitions, wanted=wanted)
            self.records += portion.records
            events = {
                saga_id: [*homeless.pop(saga_id, ()), *found]
                for saga_id, found in portion.events.items()
            }
            async for one in self._compare_all(events, seen, homeless):
                yield one
        on_progress(len(portions), len(portions))
        async for one in self._unjustified(wanted, seen):
            yield one

    async def _compare_all(
        self, events: Mapping[str, list[Found]], seen: set[str], homeless: dict[str, list[Found]]
    ) -> AsyncIterator[Difference]:
        ids = iter(events)
        while chunk := list(islice(ids, _AT_ONCE)):
            await self._read_indexes(chunk)
            rows = await asyncio.gather(
                *(self._table.load(self._saga.name, one, events=True) for one in chunk)
            )
            for saga_id, row in zip(chunk, rows, strict=True):
                if refold(self._saga.definition, saga_id, events[saga_id]) is None:
                    homeless[saga_id] = events[saga_id]
                    continue
                seen.add(saga_id)
                self.instances += 1
                for difference in self._compare(saga_id, events[saga_id], row):
                    yield difference

    def _compare(self, saga_id: str, found: list[Found], row: Row | None) -> Iterable[Difference]:
        justified = refold(self._saga.definition, saga_id, found)
        if justified is None:
            return
        if row is None:
            if not self._may_have_expired(justified.instance) and not self._means.may_have_run(
                found
            ):
                said = f"{justified.instance.status}, {len(justified.instance.facts)} events"
                yield self._difference(saga_id, Kind.MISSING, "no row", said)
            return
        try:
            instance, left = found_in_row(self._saga, saga_id, row)
        except (ContractViolation, InvalidMessage, KeyError) as error:
            yield self._difference(saga_id, Kind.UNREADABLE, str(error), "")
            return
        on_topics = {one.fact.id for one in found}
        early = [one for one in left if one.fact.id not in on_topics and not one.fact.published]
        yield from self._of_events(instance, found, row)
        again = refold(self._saga.definition, saga_id, [*found, *early])
        if again is not None and again.instance.facts.keys() == instance.facts.keys():
            yield from self._of_state(instance, again.instance)
        yield from self._of_indexes(instance)

    def _of_events(self, instance: Instance, found: list[Found], row: Row) -> Iterable[Difference]:
        on_topics: dict[str, list[Found]] = {}
        for one in found:
            on_topics.setdefault(one.fact.slot, []).append(one)
        for slot, fact in instance.facts.items():
            if slot in on_topics:
                if all(one.fact.id != fact.id for one in on_topics[slot]):
                    yield self._difference(
                        instance.saga_id, Kind.EVENT_DIFFERS, fact.id, on_topics[slot][0].fact.id
                    )
                elif all(
                    _differs(one, fact, row.events.get(fact.kept_as)) for one in on_topics[slot]
                ):
                    said = "other headers or payload"
                    yield self._difference(instance.saga_id, Kind.EVENT_DIFFERS, slot, said)
            elif (fact.published or fact.kept_as not in row.events) and not self._is_older(
                fact.at_ms
            ):
                yield self._difference(instance.saga_id, Kind.EVENT_UNJUSTIFIED, slot, "not there")
        for slot, copies in on_topics.items():
            decided = any(one.seq for one in copies)
            if slot not in instance.facts and decided and not instance.phase.is_terminal:
                yield self._difference(instance.saga_id, Kind.EVENT_MISSING, "not recorded", slot)

    def _of_state(self, instance: Instance, again: Instance) -> Iterable[Difference]:
        for name in ("phase", "turned_by", "in_flight", "parked", "deadline_ms"):
            table, topics = getattr(instance, name), getattr(again, name)
            if table != topics:
                yield self._difference(
                    instance.saga_id, Kind.STATE, f"{name} {table}", f"{name} {topics}"
                )

    def _of_indexes(self, instance: Instance) -> Iterable[Difference]:
        indexed = self._indexed.get(instance.saga_id, [])
        if indexed != [str(instance.status)]:
            said = ", ".join(indexed) or "in none"
            yield self._difference(instance.saga_id, Kind.STATUS, said, str(instance.status))
        there = self._timers.get(instance.saga_id, set()) - {PROOF}
        # Beside a note about attempts: a hint, which the topics say nothing of.
        timers = {name for name in there if not name.startswith(RETRY)}
        due = set(timers_of(instance)) - {PROOF}
        if timers != due:
            yield self._difference(
                instance.saga_id,
                Kind.TIMERS,
                ", ".join(sorted(timers)) or "none",
                ", ".join(sorted(due)) or "none",
            )

    async def _unjustified(
        self, wanted: Callable[[str], bool], seen: set[str]
    ) -> AsyncIterator[Difference]:
        """Rows whose start the topics do not have, although it is young enough to be there."""
        listed = await self._table.list_sagas(
            self._saga.name, statuses=list(SagaStatus), limit=_ALL
        )
        for line in listed:
            if line.saga_id in seen or not wanted(line.saga_id):
                continue
            row = await self._table.load(self._saga.name, line.saga_id, events=True)
            if row is None:
                yield self._difference(line.saga_id, Kind.STATUS, f"{line.status}, no row", "")
                continue
            self.instances += 1
            try:
                instance, _ = found_in_row(self._saga, line.saga_id, row)
            except (ContractViolation, InvalidMessage, KeyError) as error:
                yield self._difference(line.saga_id, Kind.UNREADABLE, str(error), "no start")
                continue
            if not self._is_older(min(fact.at_ms for fact in instance.facts.values())):
                yield self._difference(
                    line.saga_id, Kind.UNJUSTIFIED, str(instance.status), "no start"
                )

    async def _read_indexes(self, ids: Collection[str]) -> None:
        """The timers and index entries of the buckets of these instances, as they are now."""
        buckets = {bucket_of(one) for one in ids}
        name = self._saga.name
        timers: Iterable[Timer] = await self._table.due_timers(
            buckets=buckets, now_ms=_EVER_MS, limit=_ALL
        )
        self._timers = {}
        for timer in timers:
            if timer.saga == name:
                self._timers.setdefault(timer.saga_id, set()).add(timer.name)
        self._indexed = {}
        for line in await self._table.list_sagas(name, statuses=list(SagaStatus), limit=_ALL):
            self._indexed.setdefault(line.saga_id, []).append(line.status)

    def _may_have_expired(self, instance: Instance) -> bool:
        ended_ms = max(fact.at_ms for fact in instance.facts.values())
        return instance.phase.is_terminal and self._means.is_long_ago(ended_ms)

    def _is_older(self, at_ms: int) -> bool:
        """Whether an event may have left the topics."""
        return self._retention_ms >= 0 and at_ms < self._clock.now_ms() - self._retention_ms

    def _difference(self, saga_id: str, kind: Kind, table: str, topics: str) -> Difference:
        return Difference(self._saga.name, saga_id, kind, table, topics)


def _differs(one: Found, fact: Fact, stored: bytes | None) -> bool:
    """Whether a copy on the topics is not as the row has it, or had it."""
    if (one.fact.cause, one.fact.at_ms) != (fact.cause, fact.at_ms):
        return True
    return stored is not None and one.stored != stored
