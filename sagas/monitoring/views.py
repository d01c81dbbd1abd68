"""What is shown, as documents for JSON: sagas by status, rates, latencies, objectives, candidates.

Owns their form. Times are RFC 3339 in UTC, spans are numbers of milliseconds unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sagas.core.definition import Direction
from sagas.core.instance import SagaStatus
from sagas.monitoring.board import Board
from sagas.monitoring.budgets import budgets
from sagas.monitoring.sketch import percentiles
from sagas.monitoring.standing import Key
from sagas.monitoring.stuck import Candidate

__all__ = [
    "latency_view",
    "moment",
    "objective_view",
    "rate_view",
    "saga_view",
    "stuck_view",
]

_RANKS = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}


def moment(ms: int) -> str | None:
    """A moment in UTC, to the millisecond; None for 0, which is no moment."""
    if not ms:
        return None
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def saga_view(board: Board) -> dict[str, Any]:
    """How many run, by status, and how many have ended in the windows that are kept."""
    view: dict[str, Any] = {
        saga: {"live": dict.fromkeys(_live(), 0), "ended": dict.fromkeys(_ends(), 0), "states": {}}
        for saga in board.definitions
    }
    for (saga, _), standing in board.standings():
        if not standing.has_ended:
            view[saga]["live"][str(standing.status)] += 1
            states, state = view[saga]["states"], standing.state or ""
            states[state] = states.get(state, 0) + 1
    for saga, shown in view.items():
        for _, counts in board.windows.of(saga):
            for key, count in counts.items():
                if key[0] == "ended":
                    shown["ended"][str(key[1])] += count
    return view


def _live() -> Iterator[str]:
    return (str(status) for status in SagaStatus if not status.is_terminal)


def _ends() -> Iterator[str]:
    return (str(status) for status in SagaStatus if status.is_terminal)


def rate_view(board: Board, windows: int) -> dict[str, Any]:
    """How many began and ended in each of the last windows, and how many a second in the last full one."""
    return {saga: _rates(board, saga, windows) for saga in board.definitions}


def _rates(board: Board, saga: str, windows: int) -> dict[str, Any]:
    width_ms = board.windows.width_ms
    shown: dict[int, dict[str, Any]] = {
        start_ms: {
            "from": moment(start_ms),
            "started": counts.get(("started",), 0),
            "ended": {end: counts[("ended", end)] for end in _ends() if ("ended", end) in counts},
        }
        for start_ms, counts in _last(board, saga, windows)
    }
    full = shown.get(board.windows.start_of(board.passed_ms) - width_ms)
    started = 0 if full is None else full["started"]
    ended = 0 if full is None else sum(full["ended"].values())
    return {
        "window_ms": width_ms,
        "started_per_s": started * 1000 / width_ms,
        "ended_per_s": ended * 1000 / width_ms,
        "windows": list(shown.values()),
    }


def _last(board: Board, saga: str, windows: int) -> Iterator[tuple[int, dict[Key, int]]]:
    """The last windows in time, up to the one that is being filled; those that are empty are left out."""
    newest_ms = board.windows.start_of(board.passed_ms)
    since_ms = newest_ms - (windows - 1) * board.windows.width_ms
    return board.windows.of(saga, since_ms=max(0, since_ms))


def latency_view(board: Board, windows: int) -> dict[str, Any]:
    """Percentiles of each step, of each undo and from start to end: over all windows that are kept, and in
    each of the last ones.
    """
    return {
        saga: {
            "steps": _latencies(board, saga, windows, _of_step(Direction.FORWARD)),
            "undos": _latencies(board, saga, windows, _of_step(Direction.UNDO)),
            "ends": _latencies(board, saga, windows, _of_end),
        }
        for saga in board.definitions
    }


_Named = Callable[[Key], str | None]


def _of_step(direction: Direction) -> _Named:
    wanted = ("step", str(direction))
    return lambda key: str(key[2]) if key[:2] == wanted else None


def _of_end(key: Key) -> str | None:
    return str(key[1]) if key[0] == "took" else None


def _latencies(board: Board, saga: str, windows: int, named: _Named) -> dict[str, Any]:
    """By name, as ``named`` reads it from a key that ends in a bucket."""
    whole: dict[str, dict[int, int]] = {}
    for _, counts in board.windows.of(saga):
        for name, buckets in _buckets(counts, named).items():
            merged = whole.setdefault(name, {})
            for bucket, count in buckets.items():
                merged[bucket] = merged.get(bucket, 0) + count
    view: dict[str, Any] = {name: {**_shown(whole[name]), "windows": []} for name in sorted(whole)}
    for start_ms, counts in _last(board, saga, windows):
        for name, buckets in _buckets(counts, named).items():
            view[name]["windows"].append({"from": moment(start_ms), **_shown(buckets)})
    return view


def _buckets(counts: Mapping[Key, int], named: _Named) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for key, count in counts.items():
        name = named(key)
        if name is not None:
            found.setdefault(name, {})[int(key[-1])] = count
    return found


def _shown(buckets: Mapping[int, int]) -> dict[str, Any]:
    latencies = percentiles(buckets, list(_RANKS.values()))
    rounded = (round(latency, 1) for latency in latencies)
    return {"count": sum(buckets.values()), **dict(zip(_RANKS, rounded, strict=True))}


def objective_view(board: Board) -> list[dict[str, Any]]:
    """What was promised, how it was kept, and what is left of the error budget."""
    return [
        {
            **budget.objective.model_dump(),
            "kept": budget.kept,
            "broken": budget.broken,
            "reached": budget.ratio,
            "budget": round(budget.allowed, 3),
            "budget_left": round(budget.left, 4),
            "burn_rate": round(budget.burn_rate, 3),
            "burn_rate_recently": round(budget.burn_rate_recently, 3),
        }
        for budget in budgets(board)
    ]


def stuck_view(found: Sequence[Candidate], limit: int) -> dict[str, Any]:
    """How many there are, and those that have been so for longest."""
    return {
        "count": len(found),
        "longest": [
            {
                "saga": one.saga,
                "saga_id": one.saga_id,
                "status": str(one.status),
                "state": one.state,
                "since": moment(one.since_ms),
                "reason": one.reason,
            }
            for one in found[:limit]
        ],
    }
