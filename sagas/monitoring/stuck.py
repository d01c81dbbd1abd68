"""Candidates for stuck sagas: parked, over a deadline, or open for much longer than usual.

Owns the reasons. It looks at a table of what is open, at a moment that it is told; it waits for no event and
for no window to close, so that nothing happening is what it sees best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sagas.core.definition import Direction
from sagas.core.instance import SagaStatus
from sagas.monitoring.board import Board, InstanceOf
from sagas.monitoring.sketch import percentiles
from sagas.monitoring.standing import Open, Standing

__all__ = ["Candidate", "Usual", "candidates", "usual_of"]

Usual = Mapping[tuple[str, Direction, str], tuple[float, float]]
"""By saga, direction and step: how long the middle one, and the 99th of 100, takes, in milliseconds."""
_ENOUGH = 20
"""With fewer latencies there is no usual one."""


class Candidate(NamedTuple):
    """A saga that may be stuck, since when (milliseconds since the epoch), and why in words."""

    saga: str
    saga_id: str
    status: SagaStatus
    state: str | None
    since_ms: int
    reason: str


def usual_of(board: Board) -> Usual:
    """How long each step usually takes, by the windows that are kept."""
    counts: dict[tuple[str, Direction, str], dict[int, int]] = {}
    for saga in board.definitions:
        for _, window in board.windows.of(saga):
            for key, count in window.items():
                if key[0] == "step":
                    _, direction, step, bucket = key
                    of_step = counts.setdefault((saga, Direction(str(direction)), str(step)), {})
                    of_step[int(bucket)] = of_step.get(int(bucket), 0) + count
    usual = {}
    for step_of, buckets in counts.items():
        if sum(buckets.values()) >= _ENOUGH:
            middle, nearly_all = percentiles(buckets, (0.5, 0.99))
            usual[step_of] = (middle, nearly_all)
    return usual


def candidates(board: Board, usual: Usual) -> list[Candidate]:
    """What looks stuck at the moment up to which the topics are read, longest first."""
    found = [
        candidate
        for instance, standing in board.standings()
        if not standing.has_ended
        for candidate in _candidate(board, usual, instance, standing)
    ]
    return sorted(found, key=lambda one: (one.since_ms, one.saga, one.saga_id))


def _candidate(
    board: Board, usual: Usual, instance: InstanceOf, standing: Standing
) -> Iterator[Candidate]:
    """One, or none."""
    for since_ms, reason in _reasons(board, usual, instance[0], standing):
        yield Candidate(*instance, standing.status, standing.state, since_ms, reason)
        return


def _reasons(
    board: Board, usual: Usual, saga: str, standing: Standing
) -> Iterator[tuple[int, str]]:
    now_ms = board.passed_ms
    if standing.status is SagaStatus.PARKED:
        yield standing.newest_ms, "parked: it waits for an operator"
    if standing.deadline_ms is not None and standing.deadline_ms < now_ms:
        yield standing.deadline_ms, "over its deadline, and has not turned back"
    for one in standing.opens:
        limit_ms = _limit_ms(board, usual, saga, one)
        if limit_ms is not None and one.since_ms + limit_ms < now_ms:
            yield one.since_ms, _words(usual, saga, one)


def _limit_ms(board: Board, usual: Usual, saga: str, one: Open) -> float | None:
    """How long it may be open; None for ever. What waits for the outside has its own time first."""
    policy = board.policy
    if one.timeout_ms is not None:
        return None if one.timeout_ms < 0 else one.timeout_ms + policy.stuck_after_ms
    _, nearly_all = usual.get((saga, one.direction, one.step), (0, 0))
    return max(policy.stuck_after_ms, policy.stuck_factor * nearly_all)


def _words(usual: Usual, saga: str, one: Open) -> str:
    verb = "perform" if one.direction is Direction.FORWARD else "undo"
    if one.timeout_ms is not None:
        return f"the time of {one.step} is up, and nobody has decided it"
    middle = usual.get((saga, one.direction, one.step))
    usually = "" if middle is None else f" (usually {round(middle[0])} ms)"
    return f"waits for {one.service} to {verb} {one.step}{usually}"
