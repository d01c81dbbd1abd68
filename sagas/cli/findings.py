"""How ``sagas check`` tells what it has found: a table that fits the terminal, JSON, one code explained.

Owns the look, and which findings end the command with 1. What is found is ``sagas.checks``'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sagas.checks import TITLES, Finding, Severity
from sagas.checks.examples import EXAMPLES
from sagas.cli.errors import CommandError, ExitCode
from sagas.operating.errors import nearest

if TYPE_CHECKING:
    from rich.console import Console

    from sagas.core.errors import DefinitionError

__all__ = ["as_findings", "counted", "explain", "failing", "findings_json", "print_findings"]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.HINT: "cyan"}


def as_findings(error: DefinitionError, place: str) -> list[Finding]:
    """What refuses a saga at import, in the form of the other findings; its words say the mend, too."""
    return [
        Finding(
            problem.code, Severity.ERROR, problem.place or place, problem.name, problem.text, ""
        )
        for problem in error.problems
    ]


def failing(found: Iterable[Finding], *, strict: bool) -> bool:
    """Whether the command has to end with 1."""
    bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    return any(one.severity in bad for one in found)


def findings_json(found: Iterable[Finding], directory: Path) -> list[dict[str, object]]:
    """For scripts, the worst first."""
    return [
        {
            "code": one.code,
            "severity": one.severity.value,
            "title": TITLES[one.code],
            "place": _shown(one.place, directory) or None,
            "about": one.about,
            "reason": one.reason,
            "mend": one.mend or None,
            "example": one.example,
            "page": one.page,
        }
        for one in found
    ]


def print_findings(out: Console, found: Sequence[Finding], directory: Path) -> None:
    """A table, and where to read on."""
    from rich.text import Text

    from sagas.cli.output import table
    from sagas.core.printable import printable

    if not found:
        return
    rows = table("", "", "what, where and how to mend it")
    for one in found:
        place = _shown(one.place, directory)
        told = Text(printable(one.about), style="bold")
        told.append(f"  {printable(place)}\n" if place else "\n", style="not bold dim")
        told.append(printable(one.reason), style="not bold")
        if one.mend:
            told.append(f"\n→ {printable(one.mend)}", style="not bold italic")
        rows.add_row(one.code, Text(one.severity, style=_STYLES[one.severity]), told)
    out.print(rows)
    codes = list(dict.fromkeys(one.code for one in found))
    more = " and so on" if len(codes) > 1 else ""
    out.print(f"`sagas check --explain {codes[0]}`{more} shows the smallest example.", style="dim")
    out.print()


def counted(found: Iterable[Finding]) -> str:
    """``1 error, 2 warnings``; empty if there is nothing."""
    counts = Counter(one.severity for one in found)
    return ", ".join(
        f"{counts[one]} {one}{'' if counts[one] == 1 else 's'}" for one in Severity if counts[one]
    )


def explain(code: str) -> str:
    """What a code stands for, with its smallest example. Raises CommandError for an unknown one."""
    wanted = code.upper()
    if wanted not in TITLES:
        hint = nearest(wanted, TITLES, "There are")
        raise CommandError(ExitCode.USAGE, f"There is no check {code!r}.{hint}")
    example = EXAMPLES.get(wanted)
    if example:
        shown = f"It finds something in:\n\n{example}"
    elif wanted.startswith("M"):
        shown = (
            "`sagas check --model` looks for it, and shows the shortest execution that it finds.\n"
        )
    else:
        shown = "Nothing that can be written breaks it.\n"
    more = f"docs/checks/{wanted}.md says why it matters, and what to do."
    return f"{wanted}: {TITLES[wanted]}\n\n{shown}\n{more}"


def _shown(place: str, directory: Path) -> str:
    file, colon, line = place.rpartition(":")
    path = Path(file)
    if colon and path.is_relative_to(directory):
        return f"{path.relative_to(directory)}:{line}"
    return place
