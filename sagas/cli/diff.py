"""``sagas diff``: what changes between two definitions, and whether sagas that run can finish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.declared import definition_of
from sagas.cli.errors import CommandError, ExitCode
from sagas.cli.options import Output, OutputOption, ProjectOption

if TYPE_CHECKING:
    from sagas.change.difference import Difference
    from sagas.change.finishing import Finishing, Place
    from sagas.core.definition import Definition

__all__ = ["diff"]

_WHAT = "MODULE[:SAGA] or FILE.json"


@dataclass(frozen=True, slots=True)
class _Found:
    """``payloads`` is None where they could not be compared; ``together`` is what is not safe while workers
    of both versions are at work, or because of what nothing recorded tells.
    """

    old: Definition
    new: Definition
    differences: list[Difference]
    payloads: list[str] | None
    outlook: Finishing
    together: list[str]


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=f"What runs now: {_WHAT}.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help=f"What is to run: {_WHAT}.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    states: Annotated[
        int, typer.Option("--states", min=1, max=1_000_000, help="How many states are looked at.")
    ] = 20_000,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="What is not safe while both versions run ends with 1, too."),
    ] = False,
    output: OutputOption = Output.TABLE,
    project: ProjectOption = None,
) -> None:
    """Say what changes, and for each place where a saga may stand whether it can finish.

    Ends with 1 if some can not, or if not everything was looked at.

    Example: [bold]sagas export definition events.orders > old.json[/bold], and after the change
    [bold]sagas diff old.json events.orders[/bold]
    """
    from sagas.change.difference import differences
    from sagas.change.finishing import finishing
    from sagas.language.payloads import unreadable

    (before, declared_before), (after, declared_after) = (
        definition_of(one, project) for one in (old, new)
    )
    if before.saga != after.saga:
        raise CommandError(
            ExitCode.USAGE,
            f"{old} is the saga {before.saga}, and {new} is {after.saga}: two sagas run side by side, and "
            "nothing of one goes on in the other.",
        )
    payloads: list[str] | None = None
    if declared_before is not None and declared_after is not None:
        payloads = unreadable(declared_before, declared_after)
    result = _Found(
        before,
        after,
        differences(before, after),
        payloads,
        finishing(before, after, states_max=states),
        _together(before, after),
    )
    if as_json or output is Output.JSON:
        _print_json(result)
    else:
        _print_words(result)
    if payloads or not result.outlook.can_finish or (strict and result.together):
        raise typer.Exit(ExitCode.FINDINGS)


def _together(old: Definition, new: Definition) -> list[str]:
    """What the rules of S16 find beside the walk."""
    from sagas.checks import Declared, Deployed, Subject
    from sagas.checks.versions import finishable

    subject = Subject(sagas=(Declared(definition=new),), deployed=(Deployed(old),))
    return [f"{one.about}: {one.reason}" for one in finishable(subject)]


def _print_json(result: _Found) -> None:
    from sagas.cli.output import print_json

    old, new, outlook = result.old, result.new, result.outlook
    print_json(
        {
            "saga": old.saga,
            "old": old.fingerprint,
            "new": new.fingerprint,
            "same": old.fingerprint == new.fingerprint,
            "differences": [asdict(one) for one in result.differences],
            "payloads": result.payloads,
            "can_finish": outlook.can_finish,
            "states": outlook.states,
            "complete": outlook.complete,
            "together": result.together,
            "places": [asdict(place) for place in outlook.places],
        }
    )


def _print_words(result: _Found) -> None:
    from rich.text import Text

    from sagas.cli.output import console, table

    old, new, outlook = result.old, result.new, result.outlook
    out = console()
    out.print(Text.assemble((old.saga, "bold"), f"  {old.fingerprint} → {new.fingerprint}"))
    for told in _changes(result):
        out.print(told, markup=False, soft_wrap=True)
    out.print()
    rows = table("a saga that is", "and waits for", "can finish")
    for place in outlook.places:
        rows.add_row(place.status, ", ".join(place.waits_for) or "nothing", _verdict(place))
    out.print(rows)
    for place in outlook.places:
        if place.hindrance is not None:
            out.print()
            out.print(_example(place), markup=False, soft_wrap=True)
    if result.together:
        out.print()
        out.print(
            "Not safe while workers of both versions run, or of what no event tells yet (S16):"
        )
        for words in result.together:
            out.print(f"- {words}", markup=False, soft_wrap=True)
    out.print()
    out.print(_summary(outlook), soft_wrap=True)
    if result.payloads:
        out.print(
            "Events that are recorded can not all be read: give what is new a default, or make it another "
            "version of the event.",
            soft_wrap=True,
        )


def _changes(result: _Found) -> Iterator[str]:
    yield from (f"- {one}" for one in result.differences)
    if not result.differences:
        yield "No step changes."
    yield from (f"- {words}" for words in result.payloads or ())
    if result.payloads is None:
        yield "Payloads are not compared: one of the two can not be said in JSON."


def _verdict(place: Place) -> str:
    return "yes" if place.hindrance is None else f"no: {place.reason}"


def _example(place: Place) -> str:
    way = f", then {', '.join(map(_short, place.way))}" if place.way else ""
    recorded = ", ".join(map(_short, place.recorded))
    return f"{place.hindrance}: with {recorded} recorded{way}: {place.reason}."


def _short(type_: str) -> str:
    return type_.split(".")[1] if type_.startswith("sagas.") else type_.rpartition(".v")[0]


def _summary(outlook: Finishing) -> str:
    looked = f"{outlook.states} states looked at"
    if not outlook.complete:
        return f"{looked}, which is not all: nothing is proven. Look at more with --states."
    if outlook.can_finish:
        return f"{looked}: every saga can finish."
    return (
        f"{looked}: some sagas can not finish. Keep both versions (give the new one another name), drain the "
        "old one (start no more, and wait until none is left), or change the definition so that it knows "
        "what the old one has recorded."
    )
