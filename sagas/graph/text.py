"""How wide a text is, and how it breaks into lines, without a font at hand.

Owns the advance widths of DejaVu Sans, among the widest of the sans-serif fonts that a machine may show a
picture in: what fits with them, fits.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sagas.core.printable import printable

__all__ = ["width_of", "wrapped"]

# In thousandths of the font's size, from the space to the tilde.
_REGULAR = """
318 401 460 838 636 950 780 275 390 390 500 838 318 361 318 337 636 636 636 636 636 636 636 636 636
636 337 337 838 838 838 531 1000 684 686 698 770 632 575 775 752 295 295 656 557 863 748 787 603 787
695 635 611 732 684 989 685 611 685 390 337 390 838 500 500 613 635 550 635 615 352 635 634 278 278
579 278 974 634 612 635 635 411 521 392 634 592 818 592 592 525 636 337 636 838
"""
_BOLD = """
348 456 521 838 696 1002 872 306 457 457 523 838 380 415 380 365 696 696 696 696 696 696 696 696 696
696 400 400 838 838 838 580 1000 774 762 734 830 683 683 821 837 372 372 775 637 995 837 850 733 850
770 720 682 812 774 1103 771 724 725 457 365 457 838 500 500 675 716 593 716 678 435 716 712 343 343
665 343 1042 712 687 716 716 493 595 478 712 652 924 645 652 582 712 365 712 838
"""
_TABLES = {False: tuple(map(int, _REGULAR.split())), True: tuple(map(int, _BOLD.split()))}
_NARROW_MAX = 0x2000
"""Letters of the alphabets stand before it; behind it what is as wide as it is high."""
_LETTER, _WIDE = 850, 1150

# Where a name may go on in the next line: behind a separator, and before a hump.
_PIECES = re.compile(r"[^_./:-]*?(?:[_./:-]+|(?<=[a-z0-9])(?=[A-Z])|$)")


@lru_cache(maxsize=4096)
def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a line at a font size, both in pixels: rather too much than too little."""
    table = _TABLES[bold]
    total = 0
    for character in text:
        code = ord(character) - 32
        if 0 <= code < len(table):
            total += table[code]
        else:
            total += _LETTER if ord(character) < _NARROW_MAX else _WIDE
    return total * size / 1000


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> tuple[str, ...]:
    """The text in lines no wider than ``width``: between words, or else between the parts of a name, or
    else anywhere. What can not be printed is made visible.
    """
    lines: list[str] = []
    line = ""
    for word in printable(text, lines=True).split() or [""]:
        longer = f"{line} {word}" if line else word
        if width_of(longer, size, bold=bold) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = _broken(word, width, size, bold=bold)
        lines += full
    return (*lines, line)


def _broken(word: str, width: float, size: float, *, bold: bool) -> list[str]:
    """A word in as many parts as it needs."""
    parts: list[str] = []
    part = ""
    for piece in filter(None, _PIECES.findall(word)):
        if part and width_of(part + piece, size, bold=bold) > width:
            parts.append(part)
            part = ""
        part += piece
        while width_of(part, size, bold=bold) > width and len(part) > 1:
            fits = _fitting(part, width, size, bold=bold)
            parts.append(part[:fits])
            part = part[fits:]
    return [*parts, part]


def _fitting(text: str, width: float, size: float, *, bold: bool) -> int:
    """How many characters fit; at least one."""
    fits = 1
    while fits < len(text) and width_of(text[: fits + 1], size, bold=bold) <= width:
        fits += 1
    return fits
