"""Live instances taken over to another definition: each is folded again under it, stored, and everybody
woken.

Owns the moving. What an instance becomes is what a rebuild would make of it, of the same events by the same
fold: so a table that is lost afterwards comes back the same, and nothing is decided here. How former names
are read stands in the definition (``upcasts``, ``retired``). One that can not finish is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import structlog

from sagas.change.carrying import strangeness
from sagas.change.finishing import effects_of, hindrance_once_woken
from sagas.core.definition import Definition
from sagas.core.errors import ContractViolation, InvalidMessage
from sagas.core.instance import Instance, SagaStatus
from sagas.core.refold import Found, Refolded
from sagas.ports import Row, RowChange, Stamp
from sagas.runtime.forgetting import kept
from sagas.runtime.histories import found_in_row
from sagas.runtime.rebuild import Means, change_of
from sagas.wire.stored import decode_instance, fingerprint_of

__all__ = ["MIGRATED", "Migration", "Moved", "Outcome"]

MIGRATED = "definition/migrated"
"""The note beside a row that says under which definition it was stored: a hint, and lost with the table,
which then comes back under that definition anyway.
"""
_LIVE = tuple(status.value for status in SagaStatus if not status.is_terminal)
_LISTED_MAX = 2**31
_AT_ONCE = 500

_log = structlog.get_logger()


class Outcome(StrEnum):
    """What became of one instance."""

    MOVED = "moved"
    WOULD_MOVE = "would move"
    LEFT = "left as it is"
    AGAIN = "changed meanwhile"
    """A worker has stored it at the same moment: run it again."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One instance: ``definition`` is the fingerprint of what it was under, empty where nothing says it."""

    saga: str
    saga_id: str
    status: str
    definition: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Live:
    saga_id: str
    definition: str


class Migration:
    """Moves the instances of one saga; ``known`` are the definitions that were kept, by fingerprint."""

    def __init__(self, means: Means, known: Mapping[str, Definition]) -> None:
        self._means = means
        self._saga = means.saga
        self._definition = means.saga.definition
        self._known = known
        self.current = 0
        self.unseen = 0

    async def run(
        self,
        *,
        dry_run: bool,
        limit: int,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> AsyncIterator[Moved]:
        """Move at most ``limit`` instances of other definitions, the oldest first, and tell of each.

        Safe to repeat: what was moved is passed over (``current`` counts it), and what this has not come to
        is ``unseen``. At most once for each stamp: a row that changes meanwhile is left to the next run.
        Raises TableUnavailable and BrokerUnavailable; what was moved by then stays moved.
        """
        live = await self._live(limit)
        portions = await self._means.histories.portions()
        found: dict[str, list[Found]] = {}
        wanted = {one.saga_id for one in live}
        for number, partitions in enumerate(portions if live else ()):
            on_progress(number, len(portions))
            portion = await self._means.histories.read(partitions, wanted=wanted.__contains__)
            for saga_id, events in portion.events.items():
                found.setdefault(saga_id, []).extend(events)
        for one in live:
            moved = await self._move(one, found.get(one.saga_id, ()), dry_run=dry_run)
            if moved is not None:
                yield moved

    async def _live(self, limit: int) -> Sequence[_Live]:
        """What is under another definition, what changed least recently first."""
        name, now = self._saga.name, self._definition.fingerprint
        listed = await self._means.table.list_sagas(name, statuses=_LIVE, limit=_LISTED_MAX)
        found: list[_Live] = []
        ids = iter(reversed([line.saga_id for line in listed]))
        while chunk := list(islice(ids, _AT_ONCE)):
            load = self._means.table.load
            rows = await asyncio.gather(*(load(name, saga_id, events=True) for saga_id in chunk))
            for saga_id, row in zip(chunk, rows, strict=True):
                under = "" if row is None else _under(row)
                if row is None or under == now:
                    self.current += row is not None
                elif len(found) < limit:
                    found.append(_Live(saga_id, under))
                else:
                    self.unseen += 1
        return found

    async def _move(self, one: _Live, found: Collection[Found], *, dry_run: bool) -> Moved | None:
        row = await self._means.table.load(self._saga.name, one.saga_id, events=True)
        if row is None:
            return None
        try:
            refolded = self._refolded(one, found, row)
        except _Unmovable as reason:
            return self._told(one, self._status(row, one), Outcome.LEFT, str(reason))
        status = str(refolded.instance.status)
        if dry_run:
            return self._told(one, status, Outcome.WOULD_MOVE)
        change = self._change(one, refolded, row)
        if not await self._means.table.store(change):
            return self._told(one, status, Outcome.AGAIN, "a worker has stored it: run this again")
        name, saga_id = self._saga.name, one.saga_id
        await self._means.waker.wake(name, saga_id, change.stamp.generation)
        await self._means.table.annotate(name, saga_id, MIGRATED, self._definition.fingerprint)
        _log.info("saga.migrated", saga=name, saga_id=saga_id, status=status)
        return self._told(one, status, Outcome.MOVED)

    def _refolded(self, one: _Live, found: Collection[Found], row: Row) -> Refolded:
        """The instance as a rebuild would have it. Raises _Unmovable with why it can not be that."""
        before = self._before(one, row)
        if before is not None and (strange := strangeness(before, self._definition)):
            raise _Unmovable(strange)
        try:
            left = found_in_row(self._saga, one.saga_id, row)
        except (ContractViolation, InvalidMessage, KeyError) as error:
            raise _Unmovable(f"its row can not be read: {error}") from error
        refolded = self._means.refolded(one.saga_id, found, left)
        if refolded is None:
            raise _Unmovable("its start is neither on the topics nor in its row")
        if left[0].facts.keys() - refolded.instance.facts.keys():
            raise _Unmovable(
                "its row has recorded more than the topics justify: `sagas verify` tells"
            )
        effects = () if before is None else tuple(effects_of(before))
        hindered = hindrance_once_woken(refolded.instance, effects)
        if hindered is not None:
            raise _Unmovable(hindered)
        return refolded

    def _before(self, one: _Live, row: Row) -> Instance | None:
        """The instance under what it was under, or under another definition that can read it."""
        first = self._known.get(one.definition)
        for definition in (*(() if first is None else (first,)), *self._known.values()):
            try:
                return decode_instance(definition, one.saga_id, row.state)
            except ContractViolation:
                continue
        return None

    def _change(self, one: _Live, refolded: Refolded, row: Row) -> RowChange:
        before, stamp = self._before(one, row), row.stamp
        change = change_of(
            refolded,
            Stamp(max(stamp.generation, refolded.generation), max(stamp.version, refolded.seq) + 1),
            token=self._means.ids.new(),
            content=self._means.content(refolded, row),
            expected=stamp,
        )
        gone = set() if before is None else {step.name for step in before.definition.steps}
        return change._replace(
            events=kept(refolded.instance, refolded.events),
            timers_cleared={*change.timers_cleared, *(gone - change.timers_set.keys())},
        )

    def _status(self, row: Row, one: _Live) -> str:
        before = self._before(one, row)
        return "" if before is None else str(before.status)

    def _told(self, one: _Live, status: str, outcome: Outcome, reason: str = "") -> Moved:
        return Moved(self._saga.name, one.saga_id, status, one.definition, outcome, reason)


class _Unmovable(Exception):
    """An instance is left as it is; the words say why."""


def _under(row: Row) -> str:
    """The definition under which a row is: that to which it was moved, or of its first event."""
    try:
        return row.notes.get(MIGRATED) or fingerprint_of(row.events.values()) or ""
    except ContractViolation:
        return ""
