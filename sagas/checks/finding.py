"""What a check has found: its code, how bad it is, where, why, the smallest example of it, and the mend."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sagas.checks.examples import EXAMPLES

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """It can break the promise: an effect twice or not at all, a saga that never ends."""
    WARNING = "warning"
    """A likely mistake."""
    HINT = "hint"
    """Something that the declaration leaves open, and that a reader would want to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``place`` is a file and line, or empty; ``about`` what it is called: ``saga.step``.

    ``shown`` is an example of this very finding, where there is one: how it comes about.
    """

    code: str
    severity: Severity
    place: str
    about: str
    reason: str
    mend: str
    shown: str = ""

    @property
    def example(self) -> str:
        """How it comes about; or else the smallest declaration in which this check finds something, as
        Python.
        """
        return self.shown or EXAMPLES[self.code]

    @property
    def page(self) -> str:
        """Where the check is explained."""
        return f"docs/checks/{self.code}.md"
