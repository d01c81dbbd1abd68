"""How many calls of one handler may run at once, and how that adapts to how long they take.

Owns the law: the second gradient of Netflix's concurrency-limits. A bound grows by a few while calls take as
long as they usually do, and shrinks with the ratio by which they take longer: what they call is then at its
own bound, and more at once only wait there. A call that fails counts as one that took twice as long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from sagas.core.errors import DefinitionError

__all__ = [
    "Adaptive",
    "Concurrency",
    "Window",
    "after_call",
    "bounds_of",
    "checked_concurrency",
    "opened",
]

_TOLERANCE: Final = 1.5
"""Calls may take so much longer than usual before the bound shrinks: times scatter."""
_STEEPEST: Final = 0.5
_SMOOTHING: Final = 0.2
_LONG_CALLS: Final = 600
"""So many calls make up what is usual."""
_WARM_UP_CALLS: Final = 10
_FORGETTING: Final = 0.95
"""What is usual comes down so fast after a time in which everything was slow."""


@dataclass(frozen=True, slots=True)
class Adaptive:
    """At least ``least`` and at most ``most`` calls at once; in between as many as go without getting
    slower. Raises DefinitionError.
    """

    least: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise DefinitionError(
                f"Adaptive({self.least}, {self.most}): the first is at least 1, and the second not smaller."
            )


Concurrency = int | Adaptive
"""How many calls at once: so many, or as many as go well within bounds."""


def checked_concurrency(given: object, what: str) -> Concurrency | None:
    """What was declared. Raises DefinitionError."""
    if given is None or isinstance(given, Adaptive):
        return given
    if isinstance(given, int) and not isinstance(given, bool) and given >= 1:
        return given
    raise DefinitionError(
        f"{what}: concurrency= is {given!r}; expected a number from 1 on, or Adaptive(4, 64)."
    )


def bounds_of(concurrency: Concurrency) -> Adaptive:
    """A fixed number as bounds without room in between."""
    return Adaptive(concurrency, concurrency) if isinstance(concurrency, int) else concurrency


class Window(NamedTuple):
    """Where a bound stands: ``limit`` calls, what is usual in milliseconds, and of how many calls."""

    limit: float
    usual_ms: float = 0.0
    calls: int = 0


def opened(bounds: Adaptive) -> Window:
    """Where a bound begins: low, for it grows in a few calls where it may."""
    return Window(float(min(bounds.most, max(bounds.least, 4))))


def after_call(
    bounds: Adaptive, window: Window, *, took_ms: int, at_once: int, failed: bool
) -> Window:
    """The bound after a call that took so long while so many ran, itself among them.

    It grows only if it was used: of calls that nobody makes nothing is learnt.
    """
    if bounds.least == bounds.most:
        return window
    took = float(max(1, took_ms))
    calls = window.calls + 1
    usual = _usual_ms(window, took)
    gradient = max(_STEEPEST, min(1.0, _TOLERANCE * usual / took))
    if failed:
        gradient = _STEEPEST
    elif at_once * 2 < window.limit and gradient == 1.0:
        return window._replace(usual_ms=usual, calls=calls)
    wanted = window.limit * gradient + math.sqrt(window.limit) * gradient
    limit = window.limit * (1 - _SMOOTHING) + wanted * _SMOOTHING
    limit = max(float(bounds.least), min(float(bounds.most), limit))
    return Window(limit, usual, calls)


def _usual_ms(window: Window, took: float) -> float:
    """The mean of the first calls, then one that moves slowly upwards and, where it is far above, quickly
    down.
    """
    if window.calls < _WARM_UP_CALLS:
        return (window.usual_ms * window.calls + took) / (window.calls + 1)
    usual = window.usual_ms + (took - window.usual_ms) * 2 / (_LONG_CALLS + 1)
    return usual * _FORGETTING if usual > 2 * took else usual
