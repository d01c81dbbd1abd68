"""``sagas migrate``: sagas that run under an older definition go on under this project's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import ExitCode
from sagas.cli.options import Output, OutputOption, ProjectOption, SagaOption, TimeoutOption

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.saga import Saga
    from sagas.ports.definitions import DefinitionBook
    from sagas.runtime.migration import Moved
    from sagas.runtime.rebuild import Means
    from sagas.settings import SagaSettings

__all__ = ["migrate"]

_SHOWN_MAX = 200


@dataclass(slots=True)
class _Done:
    """What became of the instances of one saga; ``forgotten`` are definitions under which none is left."""

    saga: str
    definition: str
    current: int = 0
    unseen: int = 0
    instances: list[Moved] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    @property
    def open(self) -> int:
        """How many are not under this definition, and will not be by this run."""
        from sagas.runtime.migration import Outcome

        moved = {Outcome.MOVED, Outcome.WOULD_MOVE}
        return self.unseen + sum(one.outcome not in moved for one in self.instances)


def migrate(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of each saga; change nothing.")
    ] = False,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", min=1, max=100_000, help="Move at most so many; run it again for more."
        ),
    ] = 10_000,
    saga: SagaOption = None,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Have sagas that run under an older definition go on under this project's.

    Stop the old workers first, and start the new ones afterwards. What can not finish is listed with its
    reason and left as it is. Safe to repeat. Ends with 1 if some are left.

    Example: [bold]sagas migrate --dry-run[/bold]
    """
    from sagas.cli.listing import chosen_sagas
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)
    done = asyncio.run(_migrate(settings, sagas, timeout, dry_run=dry_run, limit=limit))
    if output is Output.JSON:
        from sagas.cli.output import print_json

        print_json({"dry_run": dry_run, "migrated": [asdict(one) for one in done]})
    else:
        _print(done, dry_run=dry_run)
    if any(one.open for one in done):
        raise typer.Exit(ExitCode.FINDINGS)


async def _migrate(
    settings: SagaSettings,
    sagas: tuple[type[Saga], ...],
    timeout_s: float,
    *,
    dry_run: bool,
    limit: int,
) -> list[_Done]:
    from sagas.admitting import definition_book
    from sagas.cli.restoring import open_means

    book = definition_book(settings)
    async with open_means(settings, sagas, timeout_s) as all_means:
        return [await _one(means, book, dry_run=dry_run, limit=limit) for means in all_means]


async def _one(means: Means, book: DefinitionBook, *, dry_run: bool, limit: int) -> _Done:
    from sagas.admitting import count_definitions
    from sagas.cli.options import LIMIT_MAX
    from sagas.runtime.migration import Migration

    name, definition = means.saga.name, means.saga.definition
    written = await book.kept(name)
    migration = Migration(means, _readable(written))
    done = _Done(name, definition.fingerprint)
    async for moved in migration.run(dry_run=dry_run, limit=limit):
        done.instances.append(moved)
    done.current, done.unseen = migration.current, migration.unseen
    if not dry_run:
        counted = await count_definitions(means.table, name, limit=LIMIT_MAX)
        others = [one for one in written if one not in counted and one != definition.fingerprint]
        for fingerprint in others if sum(counted.values()) < LIMIT_MAX else ():
            await book.forget(name, fingerprint)
            done.forgotten.append(fingerprint)
    return done


def _readable(written: Mapping[str, bytes]) -> dict[str, Definition]:
    from sagas.change.kept import decode_definition
    from sagas.core.errors import ContractViolation

    found: dict[str, Definition] = {}
    for fingerprint, encoded in written.items():
        try:
            found[fingerprint] = decode_definition(encoded)
        except ContractViolation:
            continue  # its instances are judged by this definition alone
    return found


def _print(done: list[_Done], *, dry_run: bool) -> None:
    from sagas.cli.output import console, table

    out = console()
    rows = table("saga", "id", "status", "was under", "why it is left as it is")
    left = [moved for one in done for moved in one.instances if moved.reason]
    for moved in left[:_SHOWN_MAX]:
        rows.add_row(moved.saga, moved.saga_id, moved.status, moved.definition, moved.reason)
    if left:
        out.print(rows)
    if len(left) > _SHOWN_MAX:
        out.print(f"and {len(left) - _SHOWN_MAX} more; --output json tells all.")
    for one in done:
        counts = Counter(str(moved.outcome) for moved in one.instances)
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        rest = f", {one.unseen} not looked at (--limit)" if one.unseen else ""
        ready = f"{one.current} under {one.definition} already"
        out.print(f"{one.saga}: {told or 'nothing to move'}, {ready}{rest}.", soft_wrap=True)
        for fingerprint in one.forgotten:
            out.print(f"  None is left under {fingerprint}: it is in no worker's way any more.")
    if dry_run:
        out.print("Nothing was changed.")
