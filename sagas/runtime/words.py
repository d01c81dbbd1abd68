"""What errors say, as text that can be logged, stored and sent."""

from __future__ import annotations

from sagas.core.errors import WORDS_MAX
from sagas.core.printable import printable

__all__ = ["named", "words_of"]


def words_of(error: BaseException) -> str:
    """What an error says, as text that can be encoded and printed, whatever its author made of it."""
    try:
        text = str(error)
    except Exception as unprintable:  # noqa: BLE001 - it is user code
        text = f"(its text can not be had: {type(unprintable).__name__})"
    return printable(text, chars_max=WORDS_MAX, lines=True)


def named(error: BaseException) -> str:
    """An error's type and what it says, in at most 1,000 characters."""
    return f"{type(error).__name__}: {words_of(error)}"[:1000]
