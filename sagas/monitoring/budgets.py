"""Objectives and what is left of their error budgets.

Owns the arithmetic of promises. A saga counts in the window in which it began.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sagas.monitoring.board import Board
from sagas.monitoring.policy import Objective

__all__ = ["Budget", "budgets"]

_RECENTLY = 24
"""The short look is at this part of the period: an hour of a day."""


class Budget(NamedTuple):
    """How an objective was kept over its period, by the sagas of which that is known.

    ``allowed`` is how many of them may break it, ``left`` the part of that which is not used, below 0 when it
    is overdrawn. ``burn_rate`` is how fast it is being used, and ``burn_rate_recently`` over a 24th of the
    period: 1 uses it up exactly at the period's end.
    """

    objective: Objective
    kept: int
    broken: int
    allowed: float
    left: float
    burn_rate: float
    burn_rate_recently: float

    @property
    def ratio(self) -> float | None:
        """The part of the sagas that kept it; None of none."""
        judged = self.kept + self.broken
        return self.kept / judged if judged else None


def budgets(board: Board) -> list[Budget]:
    """Every objective, at the moment up to which the topics are read."""
    return [_budget(board, objective) for objective in board.policy.objectives]


def _budget(board: Board, objective: Objective) -> Budget:
    overdue = list(_overdue(board, objective))
    kept, broken = _judged(board, objective, objective.over_ms, overdue)
    recently = _judged(board, objective, objective.over_ms // _RECENTLY, overdue)
    allowed = (1 - objective.ratio) * (kept + broken)
    return Budget(
        objective,
        kept,
        broken,
        allowed,
        1 - broken / allowed if allowed else 1.0,
        _burn_rate(objective, kept, broken),
        _burn_rate(objective, *recently),
    )


def _burn_rate(objective: Objective, kept: int, broken: int) -> float:
    judged = kept + broken
    return broken / judged / (1 - objective.ratio) if judged else 0.0


def _judged(
    board: Board, objective: Objective, over_ms: int, overdue: list[int]
) -> tuple[int, int]:
    """How many kept it, and how many broke it, of those that began in windows that are not over."""
    since_ms = board.windows.start_of(max(0, board.passed_ms - over_ms))
    kept = broken = 0
    for _, counts in board.windows.of(objective.saga, since_ms=since_ms):
        kept += _count(counts, "kept", objective)
        broken += _count(counts, "broken", objective)
    return kept, broken + sum(started_ms >= since_ms for started_ms in overdue)


def _count(counts: Mapping[tuple[str | int, ...], int], verdict: str, objective: Objective) -> int:
    return counts.get((verdict, objective.name), 0)


def _overdue(board: Board, objective: Objective) -> Iterator[int]:
    """When those began that are not through although their time is up."""
    for (saga, _), standing in board.standings():
        late = standing.started_ms + objective.within_ms < board.passed_ms
        if saga == objective.saga and late and objective.name in standing.undecided:
            yield standing.started_ms
