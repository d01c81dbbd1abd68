"""Text from outside, made fit for a log line, a header and a terminal.

Owns what counts as fit. Nothing that moves a cursor, rings, colours, ends a line or turns the direction of
writing is left in it, nor what no encoding can hold.
"""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str, *, chars_max: int | None = None, lines: bool = False) -> str:
    r"""The text with all that can not be printed escaped, as in ``\x1b``; line breaks unless ``lines``.

    At most ``chars_max`` characters; what was cut off is told by its length.
    """
    shown = text if chars_max is None else text[:chars_max]
    if not shown.isprintable():
        shown = "".join(
            one if one.isprintable() or (lines and one == "\n") else _escaped(one) for one in shown
        )
    if chars_max is None or (len(text) <= chars_max and len(shown) <= chars_max):
        return shown
    told = f" … ({len(text)} characters)"
    return shown[: chars_max - len(told)] + told


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
