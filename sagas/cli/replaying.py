"""A compensation replay at work: who is chosen, the progress, the report on disk, and what is printed."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sagas.cli.errors import CommandError, ExitCode
from sagas.core.controls import Again
from sagas.core.errors import ContractViolation
from sagas.core.instance import Instance
from sagas.core.saga import Saga
from sagas.runtime.replay import (
    Choice,
    Outcome,
    Planned,
    Replay,
    Report,
    chosen,
    chosen_from_topics,
    plan_of,
    report_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagas.application import SagaSettings
    from sagas.ports import SagaTable
    from sagas.restoring import RestorableTable

__all__ = ["Replaying", "print_reports"]

_SHOWN_MAX = 200
_ALL_WITHIN_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """What was asked for."""

    settings: SagaSettings
    saga: type[Saga]
    sagas: Sequence[type[Saga]]
    from_topics: bool
    services: Sequence[str]
    dead_letter_reason: str | None
    again: Again | None
    execute: bool
    pause_s: float
    wait_s: float
    report: Path | None
    by: str
    why: str
    timeout_s: float

    async def run(self, choice: Choice) -> list[Report]:
        """Plan it, and do it if that is asked for. Raises CommandError."""
        from sagas.cli.servers import open_table

        known = _undone_in(self.report)
        if self.dead_letter_reason is not None:
            choice = replace(choice, ids=await self._with_dead_letters(choice))
        async with open_table(self.settings, self.timeout_s, within_s=_ALL_WITHIN_S) as table:
            try:
                plans = [
                    plan_of(one, again=self.again, by=self.by, why=self.why)
                    async for one in self._chosen(table, choice)
                    if one.saga_id not in known
                ]
            except ContractViolation as error:
                raise CommandError(ExitCode.FINDINGS, str(error)) from error
            if not plans and not self.from_topics:
                await self._refuse_lost(table)
            if not self.execute:
                return [_planned(plan) for plan in plans]
            return await self._execute(table, plans)

    def _chosen(self, table: SagaTable, choice: Choice) -> AsyncIterator[Instance]:
        from sagas.application import broker_admin
        from sagas.runtime.histories import Histories
        from sagas.wire.topics import Topics

        if not self.from_topics:
            return chosen(table, self.saga, choice, again=self.again)
        reader = broker_admin(self.settings, client_id="sagas-cli", timeout_s=self.timeout_s)
        topics = Topics(self.settings.namespace)
        histories = Histories(self.saga, self.sagas, topics=topics, reader=reader)
        return chosen_from_topics(histories, self.saga, choice, again=self.again)

    async def _refuse_lost(self, table: RestorableTable) -> None:
        """Nobody is meant because nobody is known: that must not look like a good end."""
        from sagas.operating.standing import standing_of

        (standing,) = await standing_of(table, [self.saga])
        if not standing.is_ready:
            raise CommandError(
                ExitCode.UNAVAILABLE,
                f"{standing.words()} --from-topics chooses sagas without the table.",
            )

    async def _with_dead_letters(self, choice: Choice) -> frozenset[str]:
        from sagas.cli.servers import open_boxes
        from sagas.operating.letters import Wanted

        wanted = Wanted(reason=self.dead_letter_reason)
        async with open_boxes(self.settings, self.services, self.timeout_s, writes=False) as boxes:
            letters = [
                letter
                for box in boxes
                for letter in await box.letters()
                if wanted.matches(letter) and letter.saga in {None, self.saga.name}
            ]
        found = frozenset(letter.saga_id for letter in letters if letter.saga_id is not None)
        return found if choice.ids is None else found & choice.ids

    async def _execute(self, table: SagaTable, plans: Sequence[Planned]) -> list[Report]:
        from sagas.adapters.clock import SystemClock
        from sagas.cli.servers import open_operator

        reports: list[Report] = []
        async with open_operator(self.settings, table, _ALL_WITHIN_S) as operator:
            replay = Replay(
                self.saga,
                table=table,
                operator=operator,
                clock=SystemClock(),
                pause_s=self.pause_s,
                wait_s=self.wait_s,
            )
            with _written_to(self.report) as write, _progress(len(plans)) as advance:
                async for report in replay.run(plans):
                    reports.append(report)
                    write(report)
                    advance()
        return reports


def _planned(plan: Planned) -> Report:
    outcome = Outcome.PLANNED if plan.requests else Outcome.NOTHING
    return report_of(plan, plan.instance, outcome)


def _undone_in(file: Path | None) -> frozenset[str]:
    """The sagas that an earlier run has reported as undone. Raises CommandError."""
    if file is None or not file.exists():
        return frozenset()
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return frozenset(one["saga_id"] for one in lines if one["outcome"] == Outcome.UNDONE)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            ExitCode.USAGE,
            f"--report {file} is no report of an earlier run ({error}): name another file, or move it.",
        ) from error


@contextmanager
def _written_to(file: Path | None) -> Iterator[Callable[[Report], None]]:
    """Each report at once, so that an interrupted run knows how far it came."""
    if file is None:
        yield lambda _: None
        return
    try:
        opened = file.open("a", encoding="utf-8")
    except OSError as error:
        raise CommandError(
            ExitCode.USAGE, f"--report {file} can not be written: {error.strerror}."
        ) from error
    with opened:

        def write(report: Report) -> None:
            opened.write(json.dumps(asdict(report), ensure_ascii=False) + "\n")
            opened.flush()

        yield write


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("compensations", total=total)
        yield lambda: progress.advance(task)


def print_reports(reports: Sequence[Report], *, execute: bool, as_json: bool) -> None:
    """What came of it, or would."""
    from sagas.cli.output import console, print_json, status_text, table

    counts = Counter(report.outcome for report in reports)
    if as_json:
        print_json(
            {
                "dry_run": not execute,
                "sagas": [asdict(report) for report in reports],
                "counts": {outcome.value: counts[outcome] for outcome in Outcome},
            }
        )
        return
    out = console()
    rows = table("saga", "status", "asked", "outcome", "left", "why")
    for one in reports[:_SHOWN_MAX]:
        rows.add_row(
            one.saga_id,
            status_text(one.after.value),
            "; ".join(one.asked),
            one.outcome.value,
            ", ".join(one.left),
            one.why,
        )
    if reports:
        out.print(rows)
        out.print()
    if len(reports) > _SHOWN_MAX:
        out.print(f"{_SHOWN_MAX} of {len(reports)} are shown; -o json has all.")
    told = ", ".join(f"{counts[o]} {o.value}" for o in Outcome if counts[o])
    sagas = "1 saga" if len(reports) == 1 else f"{len(reports)} sagas"
    out.print(f"{sagas}: {told}." if reports else "No saga is meant.")
    if not execute:
        out.print("Nothing was published: --execute does it.")
