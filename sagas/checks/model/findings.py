"""What the model checker has found, in the form of the other checks: M1 to M5, and M6 for a limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sagas.checks.finding import Finding, Severity
from sagas.checks.model.search import Counterexample, Result, Run
from sagas.checks.subject import Declared

__all__ = ["findings"]

_CODES: Final[Mapping[str, str]] = {
    "I1": "M1",
    "I2": "M2",
    "I3": "M2",
    "I4": "M2",
    "I5": "M3",
    "I7": "M3",
    "I8": "M4",
    "I10": "M4",
    "I11": "M5",
}
"""The check that an invariant belongs to. The model checker tells I6 as I2, I9 is no matter of one saga."""

_MEND: Final = (
    "Keep the test that is printed with it, and see at which call it goes wrong. The participants of the "
    "model keep a journal; nothing that can be declared breaks this by itself, so it is a defect of the "
    "framework: report it with the schedule."
)
_MORE: Final = "Give --states more, or --faults fewer, one at a time if need be."
_SHOWN_MAX: Final = 60


def findings(result: Result, declared: Declared) -> list[Finding]:
    """One finding for each check that is broken, at its step where it names one; none if all is proven."""
    for run in result.runs:
        if run.counterexample is not None:
            return _broken(run, run.counterexample, declared)
    return [] if result.complete else [_limited(result, declared)]


def _limited(result: Result, declared: Declared) -> Finding:
    unfinished = " and ".join(_told(run) for run in result.runs if not run.complete)
    reason = (
        f"nothing is proven: {result.states:,} states were looked at, which is the limit, and nothing was "
        f"found in them. There are more with {unfinished}."
    )
    one = declared.finding("M6", Severity.WARNING, None, reason, _MORE)
    return replace(one, shown=f"sagas check --model --states {result.bounds.states_max}")


def _broken(run: Run, found: Counterexample, declared: Declared) -> list[Finding]:
    by_code: dict[str, list[str]] = {}
    for violation in found.violations:
        by_code.setdefault(_CODES[violation.partition(":")[0]], []).append(violation)
    lines = [str(move) for move in found.moves[:_SHOWN_MAX]]
    shown = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    return [
        replace(
            declared.finding(
                code,
                Severity.ERROR,
                _step(violations, declared),
                f"{'; '.join(violations)}. It takes {len(found.moves)} moves, with {_told(run)}.",
                _MEND,
            ),
            shown=shown,
        )
        for code, violations in by_code.items()
    ]


def _told(run: Run) -> str:
    return ", ".join(run.faults) or "no fault"


def _step(violations: list[str], declared: Declared) -> str | None:
    """The first step that is named."""
    words = re.findall(r"\w+", " ".join(violations))
    names = declared.definition.by_name
    return next((word for word in words if word in names), None)
