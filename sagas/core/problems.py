"""What is wrong with a declaration so that it can not run: each problem with its code and its words.

The codes are those of ``docs/checks``. A problem's words begin with where it is, ``saga.step: ``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Problem", "coded"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: the check that found it, and what was seen, what was expected, what to do.

    ``place`` is the file and line of what it is about, where somebody knows it.
    """

    code: str
    text: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.text} [{self.code}]"

    @property
    def name(self) -> str:
        """The saga, step or event that it is about, as it is called where it is declared."""
        return self.text.partition(":")[0].rpartition(".")[2]


def coded(code: str, texts: Iterable[str]) -> Iterator[Problem]:
    """These words as the problems of one check."""
    return (Problem(code, text) for text in texts)
