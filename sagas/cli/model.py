"""``sagas check --model``: what the model checker has proven, found, or not finished, in words."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from sagas.cli.errors import CommandError, ExitCode
from sagas.core.errors import ContractViolation

if TYPE_CHECKING:
    from rich.console import Console

    from sagas.checks import Finding
    from sagas.checks.model import Bounds, Result, Run, Told
    from sagas.core.saga import Saga

__all__ = [
    "AtOnceOption",
    "Explored",
    "FaultsOption",
    "ModelOption",
    "StatesOption",
    "bounds_of",
    "explored",
    "model_findings",
    "model_json",
    "print_model",
]

ModelOption = Annotated[
    bool,
    typer.Option("--model", help="Look at everything that can happen to one instance, too."),
]
StatesOption = Annotated[
    int, typer.Option("--states", min=1, help="With --model: so many states of a saga at most.")
]
FaultsOption = Annotated[
    str | None,
    typer.Option(
        "--faults",
        metavar="NAMES",
        help="With --model: only these, with commas; none for none. Default: all.",
        show_default=False,
    ),
]
AtOnceOption = Annotated[
    int, typer.Option("--at-once", min=1, help="With --model: so many faults in an execution.")
]
Explored = tuple["type[Saga]", "Result"]


def bounds_of(faults: str | None, states: int, at_once: int) -> Bounds:
    """What the command line asks for. Raises CommandError for a fault that there is not."""
    from sagas.checks.model import FAULTS, Bounds

    names = list(FAULTS) if faults is None else [one.strip() for one in faults.split(",")]
    try:
        return Bounds.of([] if names == ["none"] else names, at_once=at_once, states_max=states)
    except ContractViolation as error:
        raise CommandError(ExitCode.USAGE, str(error)) from error


def explored(sagas: Iterable[type[Saga]], bounds: Bounds, *, quiet: bool) -> list[Explored]:
    """Each saga with what was found. A bar on standard error tells how far things are, on a terminal."""
    from sagas.checks.model import explore

    found = []
    gc.disable()  # hundreds of thousands of tuples without a cycle: looking for some costs a fifth
    try:
        for saga in sagas:
            with _progress(saga.name, quiet=quiet) as told:
                found.append((saga, explore(saga.definition, bounds, told=told)))
    finally:
        gc.enable()
    return found


def model_findings(found: Iterable[Explored]) -> list[Finding]:
    """What was found, in the form of the other checks."""
    from sagas.checks import declared
    from sagas.checks.model import findings

    return [one for saga, result in found for one in findings(result, declared(saga))]


@contextmanager
def _progress(saga: str, *, quiet: bool) -> Iterator[Callable[[Told], None]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    began = time.monotonic()
    with bar:
        task = bar.add_task(saga, total=None)

        def tell(told: Told) -> None:
            rate = told.states / max(time.monotonic() - began, 0.001)
            with_ = ", ".join(told.faults) or "no fault"
            bar.update(
                task,
                description=f"{saga}, {with_}: {told.states:,} states, {told.waiting:,} waiting, "
                f"{rate:,.0f}/s",
            )

        yield tell


def model_json(found: Sequence[Explored]) -> list[dict[str, object]]:
    """For scripts. ``proven`` is true only if everything within the bounds was looked at and holds."""
    return [
        {
            "saga": result.saga,
            "proven": result.proven,
            "complete": result.complete,
            "states": result.states,
            "bounds": {
                "states": result.bounds.states_max,
                "faults": [fault.value for fault in result.bounds.counted],
                "at_once": result.bounds.at_once,
                "any_order": result.bounds.any_order,
                "words": str(result.bounds),
            },
            "runs": [_run_json(run) for run in result.runs],
            "counterexample": _counterexample_json(saga, result),
        }
        for saga, result in found
    ]


def _run_json(run: Run) -> dict[str, object]:
    return {
        "faults": [fault.value for fault in run.faults],
        "states": run.states,
        "transitions": run.transitions,
        "depth": run.depth,
        "ends": dict(run.ends),
        "complete": run.complete,
        "cyclic": run.cyclic,
    }


def _counterexample_json(saga: type[Saga], result: Result) -> dict[str, object] | None:
    found = result.counterexample
    if found is None:
        return None
    diagram, test = _told(saga, result)
    return {
        "violations": list(found.violations),
        "schedule": [str(move) for move in found.moves],
        "diagram": diagram,
        "test": test,
    }


def _told(saga: type[Saga], result: Result) -> tuple[str, str]:
    from sagas.checks.model import mermaid, pytest_module

    found = result.counterexample
    if found is None:
        return "", ""
    named = f"{saga.__module__}:{saga.__qualname__}"
    return (
        mermaid(saga.definition, found.moves, found.violations),
        pytest_module(named, found.moves, found.violations),
    )


def print_model(out: Console, found: Sequence[Explored]) -> None:
    """Each saga's verdict with what it rests on; a counterexample as a diagram and as a test."""
    from sagas.cli.output import table

    for saga, result in found:
        rows = table("with", "states", "moves", "ends", "")
        for run in result.runs:
            with_ = ", ".join(run.faults) or "no fault"
            ends = ", ".join(f"{name} {count:,}" for name, count in run.ends.items())
            note = "" if run.complete or run.counterexample else "not finished"
            rows.add_row(with_, f"{run.states:,}", f"{run.transitions:,}", ends, note)
        out.print(rows)
        style = None if result.proven else "red"
        out.print(_verdict(result), style=style, markup=False, soft_wrap=True)
        out.print(f"Bounds: {result.bounds}.", markup=False, soft_wrap=True, style="dim")
        for text in _told(saga, result):
            if text:
                out.print(f"\n{text}", markup=False, highlight=False, soft_wrap=True)
        out.print()


def _verdict(result: Result) -> str:
    if result.counterexample is not None:
        moves = len(result.counterexample.moves)
        broken = "\n".join(result.counterexample.violations)
        return f"{result.saga} is broken, in {moves} moves:\n{broken}"
    if not result.complete:
        return (
            f"{result.saga}: nothing is proven. {result.states:,} states were looked at, which is the limit, "
            "and nothing was found in them; give --states more, or --faults fewer."
        )
    cyclic = sum(run.cyclic for run in result.runs)
    fair = f", unless a message is passed over for ever ({cyclic:,} states can come again)"
    return (
        f"{result.saga}: proven within these bounds, in {result.states:,} states. Every execution ends"
        f"{fair if cyclic else ''}; I1 to I8, I10 and I11 hold."
    )
