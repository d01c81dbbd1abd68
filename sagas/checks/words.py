"""How findings say things: events without their publishers, choices, spans of time."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["either", "short", "span", "way_words"]

_UNITS_MS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


def short(type_: str) -> str:
    """An event's name without publisher and version."""
    parts = type_.split(".")
    return parts[1] if len(parts) > 1 else type_


def either(types: Iterable[str]) -> str:
    """``StockReserved or StockUnavailable``."""
    return " or ".join(map(short, types))


def way_words(choices: Iterable[tuple[str, str]]) -> str:
    """Choices in words: ``after GiftWrapped``; empty if there are none."""
    names = sorted(short(type_) for _, type_ in choices)
    return f"after {' and '.join(names)}" if names else ""


def span(ms: int) -> str:
    """A span as people say it, in its two largest units: ``7 d 2 h``, ``1 min 30 s``, ``40 ms``."""
    parts = []
    for unit_ms, unit in _UNITS_MS:
        number, ms = divmod(ms, unit_ms)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or f"{ms} ms"
