"""The way of a request of people: looked at first, refused or published, and waited for.

Owns what comes of it, in words and for scripts. Decides nothing itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sagas.cli.listing import chosen_sagas
from sagas.cli.options import Output
from sagas.core.decide import Emission
from sagas.core.definition import Role
from sagas.core.events import Event
from sagas.core.instance import Fact, Instance
from sagas.core.saga import Saga
from sagas.operating.asking import Wish, effect_of, outlook_for, payload_of

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.operating.lookup import Found
    from sagas.runtime.operator import Outlook

__all__ = ["Asked", "operate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was typed; ``verb`` as in "is not cancelled"."""

    verb: str
    saga_id: str
    saga: str | None
    by: str
    why: str
    dry_run: bool
    output: Output
    project: Path | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class _Line:
    """An event that would be, or was, recorded."""

    event: str
    step: str
    role: Role
    payload: object


def operate(asked: Asked, request_of: Callable[[Found], Event]) -> None:
    """Ask, and print what came of it, or would. Raises CommandError and OperatingError."""
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    settings = read_settings()
    sagas = chosen_sagas(open_project(asked.project), asked.saga)
    wish, outlook = asyncio.run(_look(asked, settings, sagas, request_of))
    if asked.dry_run:
        facts: Iterable[Emission | Fact] = outlook.emissions
    else:
        outlook, facts = asyncio.run(_ask(asked, settings, wish, outlook))
    lines = [
        _Line(fact.type, fact.step, fact.role, payload_of(fact.type, wish.request))
        for fact in facts
    ]
    if asked.output is Output.JSON:
        _print_json(asked, lines, outlook)
    else:
        _print_words(asked, lines, outlook)


async def _look(
    asked: Asked,
    settings: SagaSettings,
    sagas: Sequence[type[Saga]],
    request_of: Callable[[Found], Event],
) -> tuple[Wish, Outlook]:
    """The request and what would come of it now."""
    from sagas.cli.servers import open_table
    from sagas.operating.lookup import find_saga

    async with open_table(settings, asked.timeout_s) as table:
        found = await find_saga(table, sagas, asked.saga_id, settings.namespace)
    wish = Wish(asked.saga_id, asked.verb, request_of(found))
    return wish, outlook_for(wish, found.instance)


async def _ask(
    asked: Asked, settings: SagaSettings, wish: Wish, outlook: Outlook
) -> tuple[Outlook, list[Fact]]:
    from sagas.cli.servers import open_operator, open_table

    timeout_s = asked.timeout_s
    async with open_table(settings, timeout_s, within_s=3 * timeout_s) as table:
        async with open_operator(settings, table, timeout_s) as operator:
            id_ = await operator.ask(outlook.before.definition.saga, wish.saga_id, wish.request)
        return await effect_of(wish, outlook, id_, table=table, timeout_s=timeout_s)


def _waits(instance: Instance) -> list[str]:
    from sagas.operating.words import waiting_text
    from sagas.runtime.views import waits_for

    return [] if instance.phase.is_terminal else list(map(waiting_text, waits_for(instance)))


def _print_json(asked: Asked, lines: Sequence[_Line], outlook: Outlook) -> None:
    from sagas.cli.output import print_json

    print_json(
        {
            "id": asked.saga_id,
            "saga": outlook.before.definition.saga,
            "dry_run": asked.dry_run,
            "events": [
                {
                    "event": line.event,
                    "step": line.step,
                    "role": line.role.value,
                    "payload": line.payload,
                }
                for line in lines
            ],
            "before": outlook.before.status.value,
            "after": outlook.after.status.value,
        }
    )


def _print_words(asked: Asked, lines: Sequence[_Line], outlook: Outlook) -> None:
    from rich.text import Text

    from sagas.cli.output import console, status_text, table

    out = console()
    before, after = outlook.before.status.value, outlook.after.status.value
    name = f"{outlook.before.definition.saga} {asked.saga_id}: "
    out.print(Text.assemble(name, status_text(before), " → ", status_text(after)), soft_wrap=True)
    rows = table("event", "step", "payload")
    for line in lines:
        rows.add_row(line.event, line.step, json.dumps(line.payload, ensure_ascii=False))
    if lines:
        out.print()
        out.print(rows)
    elif not asked.dry_run:
        out.print("Every participant is woken, and tries what is open.")
    waits = _waits(outlook.after)
    if waits:
        out.print()
        out.print(
            f"It waits for {', '.join(waits)}."
            if not asked.dry_run
            else f"It would wait for {', '.join(waits)}.",
            markup=False,
        )
    if asked.dry_run:
        out.print("Nothing was published.")
