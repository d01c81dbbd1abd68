"""``sagas start``: begins a saga with the start event that is typed.

Owns what can be typed and how a start that is refused is told. Where it belongs among the runs of its key,
the client says.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.listing import chosen_sagas
from sagas.cli.options import Output, OutputOption, ProjectOption, TimeoutOption
from sagas.cli.payloads import content_of
from sagas.core.errors import InvalidMessage, SagaExists
from sagas.core.events import Event
from sagas.core.saga import Saga

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.cli.project import Project

__all__ = ["start"]


def start(
    *,
    saga: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:SAGA",
            help="The saga, or the name of one that \\[tool.sagas] has, such as order-fulfilment.",
        ),
    ],
    payload: Annotated[
        str,
        typer.Option(
            "--payload", metavar="JSON|@FILE", help="What the start event carries, its key too."
        ),
    ],
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Start a saga. The same content again is the same start; another one for its key may be refused.

    Example: [bold]sagas start events.orders:Ordering --payload '{"order_id": "o-1042"}'[/bold]
    """
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    content = content_of(payload)
    settings = read_settings()
    chosen = _saga(open_project(project), saga)
    event = _event(chosen, content)
    try:
        saga_id = asyncio.run(_start(settings, chosen, event, timeout))
    except SagaExists as refused:
        raise CommandError(ExitCode.REFUSED, str(refused)) from refused
    if output is Output.JSON:
        from sagas.cli.output import print_json

        print_json({"id": saga_id, "saga": chosen.name, "event": event.event_type})
    else:
        typer.echo(f"{chosen.name} {saga_id} is started. Look: sagas show {saga_id}")


def _saga(project: Project, given: str) -> type[Saga]:
    if ":" in given:
        return project.saga(given)
    return chosen_sagas(project, given)[0]


def _event(saga: type[Saga], content: dict[str, JsonValue]) -> Event:
    """The start event. Raises CommandError for a payload that does not fit it, or has no usable key."""
    from sagas.runtime.incoming import decode_payload, key_of

    type_ = saga.definition.start.done[0]
    try:
        event = decode_payload(saga.events[type_], type_, json.dumps(content).encode())
        key_of(event, saga.definition.key)
    except InvalidMessage as error:
        raise CommandError(ExitCode.USAGE, f"--payload: {error}") from error
    return event


async def _start(settings: SagaSettings, saga: type[Saga], event: Event, timeout_s: float) -> str:
    from sagas.cli.servers import open_client, open_table
    from sagas.operating.standing import standing_of

    async with (
        open_table(settings, timeout_s, within_s=3 * timeout_s) as table,
        open_client(settings, [saga], table, 2 * timeout_s) as client,
    ):
        try:
            return await client.start(event, timeout_s=timeout_s)
        except TimeoutError as error:
            unready = [one for one in await standing_of(table, [saga]) if not one.is_ready]
            if not unready:
                raise
            raise CommandError(
                ExitCode.UNAVAILABLE,
                f"What ran under this key is not known now, so nothing is started. {unready[0].words()}",
            ) from error
