"""Replaying and discarding dead letters: one after the other, at a pace, and what to do about their sagas.

Owns that a record which several services could not handle is published once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.cli.errors import CommandError, ExitCode
from sagas.core.errors import ContractViolation
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga

if TYPE_CHECKING:
    from sagas.application import SagaSettings
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

    async def run(self, matches: Callable[[Letter], bool]) -> Resolved:
        """Resolve the open letters that match. Raises CommandError."""
        done = Resolved()
        total = 0
        try:
            boxes = open_boxes_of(self)
            async with boxes as opened:
                copies = [one for one in await self._find(opened, matches, done) if one]
                total = len(copies)
                for number, same in enumerate(copies):
                    if number and not self.dry_run:
                        await asyncio.sleep(self.pause_s)
                    await self._resolve(same)
                    done.letters.extend(letter for _, letter in same)
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
        self, boxes: Sequence[DeadLetterBox], matches: Callable[[Letter], bool], done: Resolved
    ) -> list[Copies]:
        """The open letters, oldest first, those of one record together."""
        resolved: list[Letter] = []
        by_id: dict[str, Copies] = {}
        found = [
            (box, letter)
            for box in boxes
            for letter in await box.letters(include_resolved=True)
            if matches(letter)
        ]
        for box, letter in sorted(found, key=lambda one: (one[1].time_ms, one[1].offset)):
            if letter.resolution is None:
                by_id.setdefault(letter.id, []).append((box, letter))
            else:
                resolved.append(letter)
        if not self.discard:
            for id_, same in tuple(by_id.items()):
                if all(letter.omitted for _, letter in same):
                    done.omitted.extend(letter for _, letter in by_id.pop(id_))
                same.sort(key=lambda one: one[1].omitted)
        self._complain(resolved, by_id, done, found=len(found), asked=matches)
        return list(by_id.values())

    def _complain(
        self,
        resolved: Sequence[Letter],
        by_id: dict[str, Copies],
        done: Resolved,
        *,
        found: int,
        asked: Callable[[Letter], bool],
    ) -> None:
        """One letter that was asked for by its id, and about which nothing can be done."""
        wanted = getattr(asked, "__self__", None)
        if by_id or not found or getattr(wanted, "id", None) is None:
            return
        if done.omitted:
            raise CommandError(
                ExitCode.REFUSED,
                f"{done.omitted[0].id} is not replayed: the letter does not hold the record, which left "
                "no room for the reason. It is on its topic for as long as that keeps it.",
            )
        (letter, *_) = resolved
        if letter.resolution is not None:
            from sagas.cli.letters import safe

            how, who = letter.resolution.how.value, safe(letter.resolution.by)
            raise CommandError(
                ExitCode.REFUSED,
                f"{letter.id} is not {self.verb}: {who} has {how} it. If it fails again, it is "
                "another letter.",
            )

    async def _resolve(self, same: Copies) -> None:
        from sagas.runtime.dead_letter_box import How

        if self.dry_run:
            return
        (box, letter), *others = same
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
