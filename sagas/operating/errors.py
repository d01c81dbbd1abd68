"""Why somebody does not get what they asked for, told by who must act. The command line has an exit code for
each, the console a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from sagas.core.errors import SagaError

__all__ = ["Misasked", "NotFound", "OperatingError", "Refused", "Unanswered", "nearest"]


class OperatingError(SagaError):
    """What was asked for is not to be had."""


class NotFound(OperatingError):
    """There is no such saga, or no such dead letter."""


class Refused(OperatingError):
    """It can not be done to this saga, or this dead letter, now."""


class Misasked(OperatingError):
    """What was asked for makes no sense: a name that nobody knows, a payload that does not fit."""


class Unanswered(OperatingError):
    """A server does not answer, what it knew is lost, or no service takes a request up."""


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """A hint after an unknown name: the one that was probably meant, and which there are."""
    names = sorted(known, key=_as_counted)
    meant = get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f" Did you mean {meant[0]!r}?" if meant else ""
    return f"{guess} {what}: {', '.join(names) or 'none'}."


def _as_counted(name: str) -> list[tuple[int, str]]:
    """S2 comes before S10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(one), "") if one.isdecimal() else (-1, one) for one in parts]
