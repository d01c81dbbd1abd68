"""Kafka's record headers, and what is remembered of the names that they come under.

A producer writes the same names in the same order for all events of a kind. So where something stands is
found once for a list of names, and looked up from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["Headers", "Names", "remember"]

Headers = tuple[tuple[str, bytes], ...]
"""Ordered; names may repeat, the last one counts."""

Names = tuple[str, ...]
"""Those of all of a record's headers, in their order."""

_LISTS_MAX: Final = 256
_NAMES_MAX: Final = 50
_CHARS_MAX: Final = 1024
"""Ours are some dozens of lists, of twenty names with three hundred characters in all. A producer that makes
up names must not fill the memory: after 256 KB of them it is begun anew."""

What = TypeVar("What")


def remember(
    known: dict[Names, What], names: Names, find: Callable[[Names], What | None]
) -> What | None:
    """What is found for names of which none comes twice, kept unless they are too many or too long; None
    where nothing is.
    """
    if names in known:
        return known[names]
    if len(names) > _NAMES_MAX or sum(map(len, names)) > _CHARS_MAX or len(set(names)) < len(names):
        return None
    if len(known) >= _LISTS_MAX:
        known.clear()
    if (found := find(names)) is not None:
        known[names] = found
    return found
