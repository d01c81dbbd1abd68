"""Replaying and discarding dead letters: one after the other, at a pace, and what to do about their sagas.

Owns that a record which several services could not handle is published once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.cli.errors import CommandError, ExitCode
from sagas.core.errors import ContractViolation
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.cli.dead_letters import Wanted
    from sagas.cli.letters import Parked
    from sagas.runtime.dead_letter_box import DeadLetterBox, Letter

__all__ = ["Resolved", "Resolving", "print_resolved"]

Copies = list[tuple["DeadLetterBox", "Letter"]]
"""The letters of several services about one record."""


@dataclass(slots=True)
class Resolved:
    """What was resolved, or would be; what can not be, for the letters do not hold their records; and
    the sagas that are parked, None if the table does not answer.
    """

    letters: list[Letter] = field(default_factory=list)
    omitted: list[Letter] = field(default_factory=list)
    parked: list[Parked] | None = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolving:
    """What was asked for."""

    settings: SagaSettings
    sagas: Sequence[type[Saga]]
    services: Sequence[str]
    discard: bool
    pause_s: float
    by: str
    why: str
    dry_run: bool
    timeout_s: float

    @property
    def verb(self) -> str:
        """What becomes of the letters."""
        return "discarded" if self.discard else "replayed"

    async def run(self, wanted: Wanted) -> Resolved:
        """Resolve the open letters that are meant. Raises CommandError."""
        from sagas.cli.servers import open_boxes

        done, total = Resolved(), 0
        writes = not self.dry_run
        try:
            async with open_boxes(
                self.settings, self.services, self.timeout_s, writes=writes
            ) as boxes:
                records = await self._find(boxes, wanted, done)
                total = sum(map(len, records))
                for number, copies in enumerate(records):
                    if writes:
                        await asyncio.sleep(self.pause_s if number else 0)
                        await self._resolve(copies)
                    done.letters.extend(letter for _, letter in copies)
        except CommandError as error:
            if not done.letters:
                raise
            raise CommandError(
                error.code,
                f"{error} Before that, {len(done.letters)} of {total} were {self.verb}; the rest is "
                "open, say it again.",
            ) from error
        if not self.discard:
            done.parked = await self._parked(done.letters)
        return done

    async def _find(
        self, boxes: Sequence[DeadLetterBox], wanted: Wanted, done: Resolved
    ) -> list[Copies]:
        """The open letters, oldest first, those of one record together."""
        found = [
            (box, letter)
            for box in boxes
            for letter in await box.letters(include_resolved=wanted.id is not None)
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
            raise CommandError(
                ExitCode.REFUSED,
                f"{wanted.id} is not replayed: the letter does not hold the record, which left no room "
                "for the reason. It is on its topic for as long as that keeps it.",
            )
        return list(by_id.values())

    def _refused(self, letter: Letter) -> CommandError:
        from sagas.cli.letters import safe

        resolution = letter.resolution
        told = "" if resolution is None else f"{safe(resolution.by)} has {resolution.how.value} it"
        return CommandError(
            ExitCode.REFUSED,
            f"{letter.id} is not {self.verb}: {told} already. What fails again is another letter.",
        )

    async def _resolve(self, copies: Copies) -> None:
        from sagas.runtime.dead_letter_box import How

        (box, letter), *others = copies
        async with asyncio.timeout(self.timeout_s):
            if self.discard:
                await box.discard(letter, by=self.by, why=self.why)
            else:
                await box.replay(letter, by=self.by, why=self.why)
            how = How.DISCARDED if self.discard else How.REPLAYED
            for other, copy in others:
                await other.note(copy, how, by=self.by, why=self.why)

    async def _parked(self, letters: Sequence[Letter]) -> list[Parked] | None:
        from sagas.cli.letters import Parked
        from sagas.cli.servers import open_table
        from sagas.wire.stored import decode_instance

        asked = dict.fromkeys(
            (saga, letter.saga_id)
            for letter in letters
            for saga in self.sagas
            if letter.saga_id is not None and letter.saga in {None, saga.name}
        )
        found: list[Parked] = []
        if not asked:
            return found
        try:
            async with open_table(self.settings, self.timeout_s) as table:
                for saga, saga_id in asked:
                    row = await table.load(saga.name, saga_id)
                    try:
                        parked = row is not None and (
                            decode_instance(saga.definition, saga_id, row.state).status
                            is SagaStatus.PARKED
                        )
                    except ContractViolation:  # another version's: `sagas show` says so
                        continue
                    if parked:
                        found.append(Parked(saga.name, saga_id, len(self.sagas) > 1))
        except CommandError:
            return None
        return found


def print_resolved(resolving: Resolving, resolved: Resolved, *, as_json: bool) -> None:
    """What came of it, or would."""
    from sagas.cli.letters import json_of, print_letters, print_parked
    from sagas.cli.output import console, print_json

    if as_json:
        parked = resolved.parked
        print_json(
            {
                "action": resolving.verb,
                "dry_run": resolving.dry_run,
                "letters": [json_of(letter) for letter in resolved.letters],
                "omitted": [json_of(letter) for letter in resolved.omitted],
                "parked": None
                if parked is None
                else [
                    {"id": one.saga_id, "saga": one.saga, "command": one.command} for one in parked
                ],
            }
        )
        return
    out = console()
    if resolved.letters:
        print_letters(resolved.letters, resolved=False)
        out.print()
    number = len(resolved.letters)
    would = "would be " if resolving.dry_run else ""
    out.print(f"{number} {would}{resolving.verb}." if number else "No open dead letters.")
    if resolved.omitted:
        ids = ", ".join(dict.fromkeys(letter.id for letter in resolved.omitted))
        out.print(f"Not in their letters, so not replayed: {ids}.", markup=False, soft_wrap=True)
    print_parked(resolved.parked)
    if resolving.dry_run:
        out.print("Nothing was published.")
