"""Replaying and discarding dead letters: one after the other, at a pace, and what to do about their sagas.

Owns that a record which several services could not handle is published once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from sagas.core.errors import ContractViolation
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.operating.errors import Refused
from sagas.operating.letters import Parked, Wanted, safe
from sagas.ports import SagaTable
from sagas.runtime.dead_letter_box import DeadLetterBox, How, Letter
from sagas.wire.stored import decode_instance

__all__ = ["Resolved", "Resolving", "parked_sagas"]

Copies = list[tuple[DeadLetterBox, Letter]]
"""The letters of several services about one record."""


@dataclass(slots=True)
class Resolved:
    """What was resolved, or would be, of ``total``; what can not be, for the letters do not hold their
    records; and the sagas that are parked, None if the table does not answer.
    """

    letters: list[Letter] = field(default_factory=list)
    omitted: list[Letter] = field(default_factory=list)
    parked: list[Parked] | None = field(default_factory=list)
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolving:
    """What was asked for."""

    discard: bool
    pause_s: float = 0.0
    by: str
    why: str
    dry_run: bool
    timeout_s: float

    @property
    def verb(self) -> str:
        """What becomes of the letters."""
        return "discarded" if self.discard else "replayed"

    async def run(self, boxes: Sequence[DeadLetterBox], wanted: Wanted, done: Resolved) -> None:
        """Resolve the open letters that are meant, telling ``done`` of each.

        Stopped half-way, the rest is open. Raises Refused, BrokerUnavailable and TimeoutError.
        """
        records = await self._find(boxes, wanted, done)
        done.total = sum(map(len, records))
        for number, copies in enumerate(records):
            if not self.dry_run:
                await asyncio.sleep(self.pause_s if number else 0)
                await self._resolve(copies)
            done.letters.extend(letter for _, letter in copies)

    async def _find(
        self, boxes: Sequence[DeadLetterBox], wanted: Wanted, done: Resolved
    ) -> list[Copies]:
        """The open letters, oldest first, those of one record together."""
        every = wanted.id is not None
        read = await asyncio.gather(*(box.letters(include_resolved=every) for box in boxes))
        found = [
            (box, letter)
            for box, letters in zip(boxes, read, strict=True)
            for letter in letters
            if wanted.matches(letter)
        ]
        by_id: dict[str, Copies] = {}
        for box, letter in sorted(found, key=lambda one: (one[1].time_ms, one[1].offset)):
            if letter.resolution is None:
                by_id.setdefault(letter.id, []).append((box, letter))
        if found and not by_id:
            raise self._refused(found[0][1])
        if not self.discard:
            for id_, copies in tuple(by_id.items()):
                copies.sort(key=lambda one: one[1].omitted)
                if copies[0][1].omitted:
                    done.omitted.extend(letter for _, letter in by_id.pop(id_))
        if wanted.id is not None and done.omitted:
            raise Refused(
                f"{wanted.id} is not replayed: the letter does not hold the record, which left no room "
                "for the reason. It is on its topic for as long as that keeps it."
            )
        return list(by_id.values())

    def _refused(self, letter: Letter) -> Refused:
        resolution = letter.resolution
        told = "" if resolution is None else f"{safe(resolution.by)} has {resolution.how.value} it"
        return Refused(
            f"{letter.id} is not {self.verb}: {told} already. What fails again is another letter."
        )

    async def _resolve(self, copies: Copies) -> None:
        (box, letter), *others = copies
        async with asyncio.timeout(self.timeout_s):
            if self.discard:
                await box.discard(letter, by=self.by, why=self.why)
            else:
                await box.replay(letter, by=self.by, why=self.why)
            how = How.DISCARDED if self.discard else How.REPLAYED
            for other, copy in others:
                await other.note(copy, how, by=self.by, why=self.why)


async def parked_sagas(
    table: SagaTable, sagas: Sequence[type[Saga]], letters: Sequence[Letter]
) -> list[Parked]:
    """The sagas of these letters that are parked, and wait for somebody to resume them.

    Raises TableUnavailable.
    """
    found = []
    for saga, saga_id in _sagas_of(sagas, letters):
        row = await table.load(saga.name, saga_id)
        try:
            parked = row is not None and (
                decode_instance(saga.definition, saga_id, row.state).status is SagaStatus.PARKED
            )
        except ContractViolation:  # another version's: `sagas show` says so
            continue
        if parked:
            found.append(Parked(saga.name, saga_id, len(sagas) > 1))
    return found


def _sagas_of(
    sagas: Sequence[type[Saga]], letters: Sequence[Letter]
) -> Sequence[tuple[type[Saga], str]]:
    return list(
        dict.fromkeys(
            (saga, letter.saga_id)
            for letter in letters
            for saga in sagas
            if letter.saga_id is not None and letter.saga in {None, saga.name}
        )
    )
