"""``sagas export``: documents and ready commands that follow from the declarations; needs no server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import ProjectOption
from sagas.core.saga import Saga
from sagas.operating.errors import nearest

if TYPE_CHECKING:
    from sagas.application import SagaSettings
    from sagas.ports import NewTopic
    from sagas.service import Service
    from sagas.wire.topics import Topics

__all__ = ["export"]

export = typer.Typer(
    name="export",
    help="Write documents and ready commands that follow from the declarations.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_Write = Annotated[
    Path | None,
    typer.Option(
        "--write", metavar="FILE", help="Write it there. Default: print it.", show_default=False
    ),
]
_Folder = Annotated[
    Path | None,
    typer.Option(
        "--write",
        metavar="DIRECTORY",
        help="Write a file for each into this directory. Default: print them.",
        show_default=False,
    ),
]
_ServiceName = Annotated[
    str | None,
    typer.Option("--service", metavar="NAME", help="Only this service.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class _Material:
    """All that documents are made of."""

    sagas: tuple[type[Saga], ...]
    services: tuple[Service, ...]
    settings: SagaSettings
    name: str
    version: str

    @property
    def topics(self) -> Topics:
        from sagas.wire.topics import Topics

        return Topics(self.settings.namespace)

    @property
    def wanted(self) -> Sequence[NewTopic]:
        from sagas.application import topics_of

        return topics_of(self.sagas, self.services, self.settings)


@export.command("asyncapi")
def asyncapi(
    *, service: _ServiceName = None, write: _Write = None, project: ProjectOption = None
) -> None:
    """Write an AsyncAPI 3.0 document of topics, events, and who sends and receives what.

    Example: [bold]sagas export asyncapi --write asyncapi.json[/bold]
    """
    from sagas.exports.asyncapi import asyncapi as document

    found = _material(project, service)
    made = document(
        found.sagas,
        found.services,
        topics=found.topics,
        wanted=found.wanted,
        title=found.name,
        version=found.version,
    )
    _put(_json(made), write)


@export.command("schemas")
def schemas(*, write: _Folder = None, project: ProjectOption = None) -> None:
    """Write the JSON Schema of every event.

    Example: [bold]sagas export schemas --write schemas[/bold]
    """
    from sagas.exports.contracts import events_of, schema_of

    found = _material(project, None)
    events = events_of(found.sagas, found.services)
    made = {type_: schema_of(event) for type_, event in events.items()}
    if write is None:
        _put(_json(made), None)
    else:
        _put_all(write, {f"{type_}.json": _json(schema) for type_, schema in made.items()})


@export.command("canvas")
def canvas(
    *, service: _ServiceName = None, write: _Folder = None, project: ProjectOption = None
) -> None:
    """Write a page about each service: what it consumes and emits, its steps, times and topics.

    Example: [bold]sagas export canvas --service inventory[/bold]
    """
    from sagas.exports.canvas import canvas as page

    found = _material(project, service)
    made_by = "sagas export canvas"
    pages = {one.name: page(one, found.topics, made_by=made_by) for one in found.services}
    if write is None:
        _put("\n".join(pages.values()), None)
    else:
        _put_all(write, {f"{name}.md": text for name, text in pages.items()})


@export.command("topics")
def topics(*, write: _Write = None, project: ProjectOption = None) -> None:
    """Write commands of Kafka's own tools that create the topics, as `sagas topics apply` does.

    Example: [bold]sagas export topics --write topics.sh[/bold]
    """
    from sagas.exports.topic_list import topic_commands

    _put(topic_commands(_material(project, None).wanted), write)


@export.command("acls")
def acls(
    *,
    kafka: Annotated[bool, typer.Option("--kafka", help="Commands for kafka-acls.")] = False,
    redis: Annotated[bool, typer.Option("--redis", help="Commands for redis-cli.")] = False,
    write: _Write = None,
    project: ProjectOption = None,
) -> None:
    """Write commands that let each service do what it needs on Kafka, or on Redis, and no more.

    Example: [bold]sagas export acls --kafka | sh[/bold]
    """
    if kafka == redis:
        raise CommandError(ExitCode.USAGE, "Say for which server: --kafka or --redis.")
    found = _material(project, None)
    if kafka:
        from sagas.exports.kafka_access import grants_of, kafka_commands, operator_grants

        wanted = [topic.name for topic in found.wanted]
        grants = [g for one in found.services for g in grants_of(one, found.topics, wanted)]
        grants += operator_grants(found.sagas, found.services, found.topics)
        _put(kafka_commands(grants), write)
    else:
        from sagas.exports.redis_access import redis_commands, users_of

        users = users_of(found.sagas, found.services, found.topics, found.settings.durability)
        _put(redis_commands(users), write)


def _material(project: Path | None, service: str | None) -> _Material:
    """What the project declares. Raises CommandError."""
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    opened = open_project(project)
    services = opened.services()
    declared = dict.fromkeys((*opened.sagas(), *(saga for one in services for saga in one.sagas)))
    if not declared and not services:
        raise CommandError(ExitCode.USAGE, f"{opened.file}: [tool.sagas] names nothing to export.")
    if service is not None and service not in {one.name for one in services}:
        hint = nearest(service, [one.name for one in services], "Services of this project")
        raise CommandError(
            ExitCode.USAGE, f"There is no service {service!r} in {opened.file}.{hint}"
        )
    chosen = tuple(one for one in services if service in {None, one.name})
    name, version = opened.told()
    return _Material(tuple(declared), chosen, read_settings(), name, version)


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _put(text: str, file: Path | None) -> None:
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            ExitCode.USAGE, f"{file} can not be written: {error.strerror}."
        ) from error


def _put_all(folder: Path, files: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(ExitCode.USAGE, f"{folder} can not be made: {error}.") from error
    for name, text in files.items():
        _put(text, folder / name)
