"""What is known around sagas, gathered: who works and how far behind, what is usual, which dead letters.

Owns how far is looked, and for how long. What nobody answers in time is not known, and stops nobody: whoever
is on call looks because something does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation, RetriableError, SettingsError
from sagas.core.instance import Instance
from sagas.core.saga import Saga
from sagas.operating.explaining import LetterFact, ServiceFact, Usual, usual_of
from sagas.ports import Clock, Listed
from sagas.ports.workers import GroupOffsets, WorkerRegistry, WorkerReport
from sagas.restoring import ListedTable
from sagas.runtime.dead_letter_box import DeadLetterBox
from sagas.watching import lags
from sagas.wire.stored import decode_instance
from sagas.wire.topics import Topics

__all__ = ["SAMPLE", "Lookout"]

SAMPLE: Final = 100
"""What is usual is measured at so many instances that went through last, and as many on their way."""
_USUAL_MS: Final = 30_000
"""For so long what is usual is remembered by whoever looks again and again."""
_ENDED: Final = ("COMPLETED", "COMPENSATED")
_UNDER_WAY: Final = ("RUNNING", "COMPENSATING")

UsualTimes = Mapping[tuple[str, Direction], Usual]


class Lookout:
    """Looks around. One object serves one event loop; everything handed in is its caller's to close.

    ``read`` says which topics each service reads (``watching.topics_read``). Without ``offsets`` lag is not
    known, without ``registry`` who works is not, without ``boxes`` dead letters are not.
    """

    def __init__(
        self,
        table: ListedTable,
        *,
        topics: Topics,
        clock: Clock,
        read: Mapping[str, Collection[str]],
        registry: WorkerRegistry | None = None,
        offsets: GroupOffsets | None = None,
        boxes: Sequence[DeadLetterBox] = (),
        patience_s: float = 2.0,
    ) -> None:
        self.table = table
        self.clock = clock
        self._topics = topics
        self._read = read
        self._registry = registry
        self._offsets = offsets
        self._boxes = {box.service: box for box in boxes}
        self._patience_s = patience_s
        self._usual: dict[str, tuple[int, UsualTimes]] = {}

    async def services(self, names: Collection[str]) -> Mapping[str, ServiceFact]:
        """How these services stand."""
        workers, behind = await asyncio.gather(self._workers(), self._behind(names))
        return {name: _fact(name, workers, behind.get(name)) for name in names}

    async def _workers(self) -> Sequence[WorkerReport] | None:
        if self._registry is None:
            return None
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._registry.workers()
        except (RetriableError, TimeoutError):
            return None

    async def _behind(self, names: Collection[str]) -> Mapping[str, int]:
        if self._offsets is None:
            return {}
        read = {name: self._read[name] for name in names if name in self._read}
        try:
            async with asyncio.timeout(self._patience_s):
                found = await lags(read, self._offsets, self._topics)
        except (RetriableError, SettingsError, TimeoutError):
            return {}
        return {name: lag.behind for name, lag in found.items()}

    async def usual(self, saga: type[Saga]) -> UsualTimes:
        """How long the saga's steps usually take. Raises TableUnavailable.

        Measured at up to ``SAMPLE`` instances that ended last and as many that changed last on their way;
        what was found stands for half a minute.
        """
        now_ms = self.clock.now_ms()
        known = self._usual.get(saga.name)
        if known is None or known[0] + _USUAL_MS <= now_ms:
            pages = await asyncio.gather(
                *(
                    self.table.listing.page(saga.name, statuses=statuses, limit=SAMPLE)
                    for statuses in (_ENDED, _UNDER_WAY)
                )
            )
            sample = await asyncio.gather(
                *(self._instance(saga, listed) for page in pages for listed in page)
            )
            known = (now_ms, usual_of(one for one in sample if one is not None))
            self._usual[saga.name] = known
        return known[1]

    async def _instance(self, saga: type[Saga], listed: Listed) -> Instance | None:
        """None for one that has been forgotten meanwhile, or that another version has written."""
        try:
            row = await self.table.load(saga.name, listed.saga_id)
            return (
                None if row is None else decode_instance(saga.definition, listed.saga_id, row.state)
            )
        except ContractViolation:
            return None

    async def letters(
        self, saga_id: str, services: Collection[str]
    ) -> tuple[LetterFact, ...] | None:
        """The open dead letters of an instance, newest first; None where not all could be looked at."""
        boxes = [self._boxes[name] for name in services if name in self._boxes]
        if not boxes:
            return None
        try:
            async with asyncio.timeout(self._patience_s):
                found = await asyncio.gather(*(box.letters() for box in boxes))
        except (RetriableError, SettingsError, TimeoutError):
            return None
        letters = [
            LetterFact(
                id=one.id,
                service=one.service,
                event=one.event_type,
                reason=one.reason,
                at_ms=one.time_ms,
            )
            for box in found
            for one in box
            if one.saga_id == saga_id
        ]
        return tuple(sorted(letters, key=lambda one: (one.at_ms, one.id), reverse=True))


def _fact(name: str, reports: Sequence[WorkerReport] | None, lag: int | None) -> ServiceFact:
    if reports is None:
        return ServiceFact(service=name, lag=lag)
    own = [one for one in reports if one.service == name]
    states: dict[str, int] = {}
    for one in own:
        word = one.health if one.health not in {"", "accepting"} else one.state.value
        states[word] = states.get(word, 0) + 1
    errors = [one.last_error for one in own if one.last_error is not None]
    last = max(errors, key=lambda one: one.at_ms, default=None)
    return ServiceFact(
        service=name,
        workers=len(own),
        lag=lag,
        last_error=None if last is None else last.words,
        error_at_ms=None if last is None else last.at_ms,
        states={} if states.keys() <= {"running"} else states,
    )
