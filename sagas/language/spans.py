"""Spans of time as the JSON form says them: ``30s``, ``2h``, ``7d``, ``1500ms``, and ``never``."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["NEVER", "SPAN", "span_ms", "span_said"]

NEVER: Final = "never"
SPAN: Final = r"[1-9][0-9]*(ms|s|m|h|d)"
_UNITS_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_MAX_MS: Final = 36_500 * 86_400_000
_SPLIT: Final = re.compile(r"([1-9][0-9]{0,15})(ms|[smhd])")


def span_ms(text: str) -> int:
    """The span in milliseconds. Raises ValueError in words."""
    found = _SPLIT.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no span of time; write one such as 30s, 90m, 2h, 7d or 1500ms"
        )
    ms = int(found[1]) * _UNITS_MS[found[2]]
    if ms > _MAX_MS:
        raise ValueError(f"{text!r} is more than a hundred years; write less, or never")
    return ms


def span_said(ms: int) -> str:
    """The span, exactly, in the largest unit that says it."""
    unit = next(unit for unit, unit_ms in _UNITS_MS.items() if ms % unit_ms == 0)
    return f"{ms // _UNITS_MS[unit]}{unit}"
