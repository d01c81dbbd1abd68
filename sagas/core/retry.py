"""How often, and after which pauses, a handler that raises is tried again.

Owns the arithmetic only: whoever runs handlers brings the chance and does the waiting. How a step is
tried is not part of what a saga is: it is not in the definition and does not change its fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Any

from sagas.core.errors import ContractViolation, DefinitionError

__all__ = ["Retry"]

_Errors = type[Exception] | tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """``attempts`` in all; after the first a pause of ``backoff``, then ``factor`` times the last one.

    A pause grows up to ``backoff_max`` and is then spread by ``jitter``, a share of it, to both sides.
    Only errors of ``on``, and of these not ``never_on``, are tried again; a ContractViolation is a bug
    and never is. Raises DefinitionError.
    """

    attempts: int = 3
    backoff: timedelta = timedelta(seconds=0.1)
    factor: float = 4.0
    backoff_max: timedelta = timedelta(minutes=10)
    jitter: float = 0.1
    on: _Errors = Exception
    never_on: _Errors = ()

    def __post_init__(self) -> None:
        """Check the numbers and the types of errors."""
        checks = (
            ("attempts", "a whole number from 1", _is_whole(self.attempts) and self.attempts >= 1),
            ("backoff", "a timedelta of 0 or more, such as seconds(0.1)", _is_span(self.backoff)),
            ("factor", "a number from 1", _is_number(self.factor) and 1 <= self.factor < inf),
            ("backoff_max", "a timedelta not below backoff", _is_span(self.backoff_max)
                and (not _is_span(self.backoff) or self.backoff_max >= self.backoff)),
            ("jitter", "a share from 0 to 1", _is_number(self.jitter) and 0 <= self.jitter <= 1),
            ("on", "an exception class, or a tuple of them", _are_errors(self.on)),
            ("never_on", "an exception class, or a tuple of them", _are_errors(self.never_on)),
        )  # fmt: skip
        wrong = [
            f"{name}={getattr(self, name)!r} is not {expected}"
            for name, expected, fits in checks
            if not fits
        ]
        if wrong:
            raise DefinitionError(f"This Retry can not work: {'; '.join(wrong)}.")

    def delay_s(self, attempt: int, chance: float) -> float | None:
        """The pause after the attempt of this number, counted from 1; None if it was the last one.

        ``chance`` is a number from 0 to 1 that picks a point in the spread; 0.5 is its middle.
        """
        if attempt >= self.attempts:
            return None
        try:
            grown_s = self.backoff.total_seconds() * self.factor ** (attempt - 1)
        except OverflowError:
            grown_s = self.backoff_max.total_seconds() if self.backoff else 0.0
        pause_s = min(grown_s, self.backoff_max.total_seconds())
        return pause_s * (1 + self.jitter * (2 * chance - 1))

    def is_retriable(self, error: Exception) -> bool:
        """Whether another attempt may help against the error."""
        return isinstance(error, self.on) and not isinstance(
            error, (ContractViolation, *_tuple(self.never_on))
        )


def _tuple(errors: _Errors) -> tuple[type[Exception], ...]:
    return errors if isinstance(errors, tuple) else (errors,)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _is_span(value: Any) -> bool:
    return isinstance(value, timedelta) and value >= timedelta(0)


def _are_errors(value: Any) -> bool:
    return all(
        isinstance(error, type) and issubclass(error, Exception)
        for error in (value if isinstance(value, tuple) else (value,))
    )
