"""What an observer is told: how long it looks back, what it calls slow, and what was promised.

Owns the declarations of objectives. Reads no environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sagas.core.durations import span_ms

__all__ = ["Objective", "Policy", "Span"]


def _bounded(text: str) -> str:
    if span_ms(text) is None:
        raise ValueError("expected a span such as 8d, 36h, 90m or 30s")
    return text


Span = Annotated[str, AfterValidator(_bounded)]
"""A span of time as settings say it: ``30s``, ``90m``, ``36h``, ``8d``."""


class Objective(BaseModel):
    """A promise: of the sagas that began within ``over``, this ``ratio`` ends ``within`` a time.

    With ``step`` it is kept by the done event of that step, or by an earlier end. A saga that is not through
    when its time is up breaks it at once, and one that ends as FAILED breaks it however quickly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    saga: str
    within: Span
    over: Span
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.99
    step: str | None = None

    @property
    def name(self) -> str:
        """How it is told from others: ``order-fulfilment create_shipment 5s``."""
        return " ".join(part for part in (self.saga, self.step, self.within) if part)

    @property
    def within_ms(self) -> int:
        """The time that is promised, in milliseconds."""
        return span_ms(self.within) or 0

    @property
    def over_ms(self) -> int:
        """The period that is looked at, in milliseconds."""
        return span_ms(self.over) or 0

    @model_validator(mode="after")
    def _is_told_in_time(self) -> Self:
        if self.within_ms >= self.over_ms:
            raise ValueError(
                f"within={self.within} is not shorter than over={self.over}: nobody would know in time"
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Times in milliseconds, and bounds.

    Windows of ``window_ms`` are kept for ``keep_ms``. A saga that has ended is kept for ``settle_ms`` in case
    anything of it comes late. What is open for longer than ``stuck_after_ms``, and ``stuck_factor`` times as
    long as 99 of 100, is a candidate for a stuck saga. At most ``sagas_max`` instances are kept, and
    ``ended_max`` that have ended and are gone are still recognised.
    """

    window_ms: int = 60_000
    keep_ms: int = 86_400_000
    settle_ms: int = 60_000
    stuck_after_ms: int = 60_000
    stuck_factor: float = 10.0
    objectives: tuple[Objective, ...] = ()
    sagas_max: int = 100_000
    ended_max: int = 500_000
