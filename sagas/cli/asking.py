"""The way of a request of people: looked at first, refused or published, and waited for.

Owns what comes of it, in words and for scripts. Decides nothing itself.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.listing import chosen_sagas
from sagas.cli.options import Output
from sagas.core.controls import Control
from sagas.core.decide import Emission
from sagas.core.definition import Definition, Role
from sagas.core.errors import ContractViolation
from sagas.core.events import Event
from sagas.core.framework_events import SkipRequested, control_of, wakes
from sagas.core.instance import Fact, Instance
from sagas.core.saga import Saga

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.cli.lookup import Found
    from sagas.ports import SagaTable
    from sagas.runtime.operator import Outlook

__all__ = ["Asked", "operate"]

_POLL_S = (0.01, 0.02, 0.05, 0.1, 0.25)
"""The pauses between two looks at the table while waiting; the last one repeats."""


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
    """Ask, and print what came of it, or would. Raises CommandError."""
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    settings = read_settings()
    sagas = chosen_sagas(open_project(asked.project), asked.saga)
    request, outlook = asyncio.run(_look(asked, settings, sagas, request_of))
    if asked.dry_run:
        facts: Iterable[Emission | Fact] = outlook.emissions
    else:
        outlook, facts = asyncio.run(_ask(asked, settings, request, outlook))
    lines = [_Line(fact.type, fact.step, fact.role, _payload(fact.type, request)) for fact in facts]
    if asked.output is Output.JSON:
        _print_json(asked, lines, outlook)
    else:
        _print_words(asked, lines, outlook)


async def _look(
    asked: Asked,
    settings: SagaSettings,
    sagas: Sequence[type[Saga]],
    request_of: Callable[[Found], Event],
) -> tuple[Event, Outlook]:
    """The request and what would come of it now. Raises CommandError for one that is refused."""
    from sagas.cli.lookup import find_saga
    from sagas.cli.servers import open_table

    async with open_table(settings, asked.timeout_s) as table:
        found = await find_saga(table, sagas, asked.saga_id, settings.namespace)
    request = request_of(found)
    outlook = _outlook(found.instance, request)
    if not outlook.emissions and not _only_wakes(found.instance, request):
        raise _refused(asked, found.instance, request)
    return request, outlook


def _only_wakes(instance: Instance, request: Event) -> bool:
    """Whether nothing is to be decided, and everybody looks at what is open all the same."""
    return wakes(request) and not instance.status.is_terminal


def _outlook(instance: Instance, request: Event) -> Outlook:
    from sagas.runtime.operator import outlook_of

    return outlook_of(instance, _control(request), time.time_ns() // 1_000_000)


def _control(request: Event) -> Control:
    control = control_of(request)
    if control is None:
        raise ContractViolation(f"{request.event_type} asks for nothing.")
    return control


def _refused(asked: Asked, instance: Instance, request: Event) -> CommandError:
    from sagas.cli.mending import refusal_of

    why = refusal_of(instance, _control(request))
    return CommandError(ExitCode.REFUSED, f"{asked.saga_id!r} is not {asked.verb}: {why}.")


async def _ask(
    asked: Asked, settings: SagaSettings, request: Event, outlook: Outlook
) -> tuple[Outlook, list[Fact]]:
    """Publish the request and wait for what comes of it. Raises CommandError if nothing does."""
    from sagas.cli.servers import open_operator, open_table

    definition = outlook.before.definition
    async with open_table(settings, asked.timeout_s, within_s=3 * asked.timeout_s) as table:
        async with open_operator(settings, table, asked.timeout_s) as operator:
            id_ = await operator.ask(definition.saga, asked.saga_id, request)
        if not outlook.emissions:
            return outlook, []
        until, looks = time.monotonic() + asked.timeout_s, 0
        while True:
            instance = await _load(asked, table, definition)
            recorded = [fact for fact in instance.facts.values() if fact.cause == id_]
            nothing_left = not _outlook(instance, request).emissions
            if nothing_left or any(one.type == outlook.emissions[-1].type for one in recorded):
                break
            if time.monotonic() > until:
                raise CommandError(
                    ExitCode.UNAVAILABLE,
                    f"The request is published, but within {asked.timeout_s:g} s no participant of "
                    f"{definition.saga} has taken it up. It stays there: see that the services run, "
                    f"and look with `sagas show {asked.saga_id}`.",
                )
            await asyncio.sleep(_POLL_S[min(looks, len(_POLL_S) - 1)])
            looks += 1
    if not recorded:  # something else came first
        raise _refused(asked, instance, request)
    return replace(outlook, after=instance), recorded


async def _load(asked: Asked, table: SagaTable, definition: Definition) -> Instance:
    from sagas.wire.stored import decode_instance

    row = await table.load(definition.saga, asked.saga_id)
    if row is None:
        raise CommandError(ExitCode.NOT_FOUND, f"{asked.saga_id!r} has expired meanwhile.")
    return decode_instance(definition, asked.saga_id, row.state, notes=row.notes)


def _payload(type_: str, request: Event) -> object:
    """What an event carries that follows from the request."""
    match request:
        case SkipRequested() if type_ == request.event:
            return request.payload
        case _:
            return request.model_dump(mode="json", include={"by", "why"})


def _waits(instance: Instance) -> list[str]:
    from sagas.cli.words import waiting_text
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
