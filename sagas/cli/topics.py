"""``sagas topics``: which topics the project needs, which are there, and creating what is missing.

Never deletes or alters a topic.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from sagas.cli.errors import ExitCode
from sagas.cli.options import Output, OutputOption, ProjectOption, TimeoutOption

if TYPE_CHECKING:
    from pathlib import Path

    from sagas.application import SagaSettings
    from sagas.ports import NewTopic, TopicDescription

__all__ = ["TopicLine", "TopicState", "compare", "topics"]

topics = typer.Typer(
    name="topics",
    help="See which topics the project needs, and create those that are missing.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


class TopicState(StrEnum):
    """How a topic that is wanted is found."""

    OK = "ok"
    MISSING = "missing"
    DIFFERS = "differs"
    CREATED = "created"


_STYLES = {
    TopicState.OK: "",
    TopicState.MISSING: "yellow",
    TopicState.DIFFERS: "bold red",
    TopicState.CREATED: "green",
}


@dataclass(frozen=True, slots=True)
class TopicLine:
    """One wanted topic; ``there`` is its number of partitions on Kafka, None if it is missing."""

    name: str
    state: TopicState
    wanted: int
    there: int | None


def compare(wanted: Sequence[NewTopic], there: Mapping[str, TopicDescription]) -> list[TopicLine]:
    """What is wanted beside what is there; other topics of the cluster are nobody's business."""
    lines = []
    for topic in wanted:
        found = there.get(topic.name)
        if found is None:
            state = TopicState.MISSING
        elif found.partitions != topic.partitions:
            state = TopicState.DIFFERS
        else:
            state = TopicState.OK
        partitions = None if found is None else found.partitions
        lines.append(TopicLine(topic.name, state, topic.partitions, partitions))
    return lines


@topics.command("plan")
def plan(
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Show what is missing or differs; ends with 3 if anything does, with 0 if nothing.

    Example: [bold]sagas topics plan[/bold]
    """
    _report(output, project, timeout, apply=False)


@topics.command("apply")
def apply(
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Create the topics that are missing. Never deletes or alters one; ends with 3 if one differs.

    Example: [bold]SAGAS_PARTITIONS=12 sagas topics apply[/bold]
    """
    _report(output, project, timeout, apply=True)


def _report(output: Output, project: Path | None, timeout_s: float, *, apply: bool) -> None:
    from sagas.application import topics_of
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings

    settings = read_settings()
    opened = open_project(project)
    wanted = topics_of(opened.sagas(), opened.services(), settings)
    lines = asyncio.run(_look(settings, wanted, timeout_s, apply=apply))
    if output is Output.JSON:
        _print_json(settings, lines)
    else:
        _print_table(settings, lines)
    if any(line.state in {TopicState.MISSING, TopicState.DIFFERS} for line in lines):
        raise typer.Exit(ExitCode.DIFFERENCES)


async def _look(
    settings: SagaSettings, wanted: Sequence[NewTopic], timeout_s: float, *, apply: bool
) -> list[TopicLine]:
    from sagas.cli.servers import open_admin

    async with open_admin(settings, timeout_s) as admin:
        lines = compare(wanted, await admin.describe_topics())
        missing = {line.name for line in lines if line.state is TopicState.MISSING}
        if not apply or not missing:
            return lines
        await admin.create_topics([topic for topic in wanted if topic.name in missing])
        return [
            replace(line, state=TopicState.CREATED, there=line.wanted)
            if line.name in missing
            else line
            for line in lines
        ]


def _print_json(settings: SagaSettings, lines: Sequence[TopicLine]) -> None:
    from sagas.cli.output import print_json

    print_json(
        {
            "namespace": settings.namespace,
            "kafka": settings.kafka,
            "topics": [
                {
                    "name": line.name,
                    "state": line.state.value,
                    "partitions_wanted": line.wanted,
                    "partitions": line.there,
                }
                for line in lines
            ],
        }
    )


def _print_table(settings: SagaSettings, lines: Sequence[TopicLine]) -> None:
    from rich.text import Text

    from sagas.cli.output import console, table

    out = console()
    rows = table(
        "topic", "state", "partitions", "wanted", right=frozenset({"partitions", "wanted"})
    )
    for line in lines:
        there = "" if line.there is None else str(line.there)
        state = Text(line.state, style=_STYLES[line.state])
        rows.add_row(line.name, state, there, str(line.wanted))
    if lines:
        out.print(rows)
        out.print()
    out.print(_summary(settings, Counter(line.state for line in lines)))


def _summary(settings: SagaSettings, count: Counter[TopicState]) -> str:
    if not count:
        return "The project needs no topics: [tool.sagas] names no sagas and no services."
    told = [f"{count[state]} {state}" for state in TopicState if count[state]]
    text = f"{', '.join(told)} on {settings.kafka}."
    if count[TopicState.MISSING]:
        text += " `sagas topics apply` creates what is missing."
    if count[TopicState.DIFFERS]:
        text += (
            " A number of partitions is never changed here: sagas would move to other ones. "
            "Set SAGAS_PARTITIONS to what is there, or take a new SAGAS_NAMESPACE."
        )
    return text
