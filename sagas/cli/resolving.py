"""Dead letters replayed and discarded from a terminal: where the servers come from, and what is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sagas.cli.errors import CommandError
from sagas.core.saga import Saga

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.operating.letters import Parked, Wanted
    from sagas.operating.resolving import Resolved, Resolving
    from sagas.runtime.dead_letter_box import Letter

__all__ = ["print_resolved", "resolve"]


async def resolve(
    resolving: Resolving,
    wanted: Wanted,
    *,
    settings: SagaSettings,
    sagas: Sequence[type[Saga]],
    services: Sequence[str],
) -> Resolved:
    """Resolve the open letters that are meant. Raises CommandError and OperatingError."""
    from sagas.cli.servers import open_boxes
    from sagas.operating.resolving import Resolved

    done = Resolved()
    opening = open_boxes(settings, services, resolving.timeout_s, writes=not resolving.dry_run)
    try:
        async with opening as boxes:
            await resolving.run(boxes, wanted, done)
    except CommandError as error:
        if not done.letters:
            raise
        raise CommandError(
            error.code,
            f"{error} Before that, {len(done.letters)} of {done.total} were {resolving.verb}; the rest "
            "is open, say it again.",
        ) from error
    if not resolving.discard:
        done.parked = await _parked(settings, sagas, done.letters, resolving.timeout_s)
    return done


async def _parked(
    settings: SagaSettings, sagas: Sequence[type[Saga]], letters: Sequence[Letter], timeout_s: float
) -> list[Parked] | None:
    from sagas.cli.servers import open_table
    from sagas.operating.resolving import parked_sagas

    if not letters:
        return []
    try:
        async with open_table(settings, timeout_s) as table:
            return await parked_sagas(table, sagas, letters)
    except CommandError:
        return None


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
