"""The keywords of a declaration, and what a misspelt one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from sagas.core.errors import DefinitionError

__all__ = ["check_words"]

_WAIT: Final = ("by", "on", "done", "refused", "otherwise", "timeout", "state", "data")
_KNOWN: Final = {
    "Start": ("by", "undone", "state", "data"),
    "Step": (*_WAIT, "undone", "pivot", "reads", "retry"),
    "Wait": _WAIT,
}


def check_words(what: str, unknown: Iterable[str]) -> None:
    """Raise DefinitionError for the first keyword that a declaration does not know."""
    for word in unknown:
        near = difflib.get_close_matches(word, _KNOWN[what], n=1)
        mend = f"did you mean {near[0]}=?" if near else f"it takes {', '.join(_KNOWN[what])}."
        raise DefinitionError(f"{what}(...) knows no {word}=; {mend}")
