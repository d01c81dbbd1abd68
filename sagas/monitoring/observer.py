"""An observer of sagas: records in, views out. What a program that follows the topics talks to.

Puts contracts, board and progress together. It publishes nothing, asks no saga table, and has no clock:
whoever drives it says what time it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sagas.core.errors import InvalidMessage, SettingsError
from sagas.core.saga import Saga
from sagas.monitoring.board import Board
from sagas.monitoring.contracts import Contracts
from sagas.monitoring.kept import Changes, changes_of, put_back
from sagas.monitoring.policy import Objective, Policy
from sagas.monitoring.progress import Progress
from sagas.monitoring.stuck import Candidate, Usual, candidates, usual_of
from sagas.monitoring.views import (
    latency_view,
    moment,
    objective_view,
    rate_view,
    saga_view,
    stuck_view,
)
from sagas.ports import Record, TopicPartition
from sagas.wire.topics import Topics

__all__ = ["SagaObserver"]

_WINDOWS = 10
_LISTED = 100
_SCAN_MS = 5_000
"""The table of all that is open is looked through this often; what is usual is found anew for each window."""


class SagaObserver:
    """Follows the topics of some sagas. Not safe for several threads.

    Raises SettingsError for an objective of a saga, or a step, that there is not, or of a longer period than
    windows are kept.
    """

    def __init__(self, sagas: Iterable[type[Saga]], topics: Topics, policy: Policy) -> None:
        self._contracts = Contracts(sagas, topics)
        definitions = {saga.definition.saga: saga.definition for saga in self._contracts.sagas}
        self._board = Board(definitions, policy)
        self._progress = Progress()
        self._stuck: list[Candidate] = []
        self._usual: Usual = {}
        self._usual_of_ms = -1
        self._looked_ms = 0
        self._scanned_ms = 0
        for objective in policy.objectives:
            _check(objective, self._board)

    @property
    def topics(self) -> frozenset[str]:
        """What is to be followed."""
        return self._contracts.topics

    # --- following ------------------------------------------------------------------------------------

    def follow(self, partitions: Collection[TopicPartition], now_ms: int) -> None:
        """These partitions are ours from now on, and no others."""
        self._progress.follow(partitions, now_ms)

    def measure(self, ends: Mapping[TopicPartition, int], asked_ms: int) -> None:
        """How far the partitions reach: the next offset of each, asked for at that moment or later."""
        self._progress.measure(ends, asked_ms)

    def position(self, partition: TopicPartition) -> int | None:
        """The offset at which to go on; None for the first one that there is."""
        place = self._progress.place_of(partition)
        return None if place is None else place.offset

    def observe(self, record: Record, now_ms: int) -> None:
        """Take note of a record, the next of its partition. What a participant would make a dead letter is
        passed over and counted; one that has come before changes nothing.
        """
        if not self._progress.note(record, now_ms):
            return
        try:
            seen = self._contracts.seen(record, now_ms)
        except InvalidMessage:
            self._board.tally["unreadable"] += 1
            return
        if seen is not None:
            self._board.add(seen)

    def look(self, now_ms: int) -> None:
        """By a timer: let go what is over, and look for sagas that are stuck."""
        self._looked_ms = now_ms
        board = self._board
        board.sweep(self._progress.passed_ms())
        if 0 <= now_ms - self._scanned_ms < _SCAN_MS:
            return
        self._scanned_ms = now_ms
        window_ms = board.windows.start_of(board.passed_ms)
        if window_ms != self._usual_of_ms:
            self._usual, self._usual_of_ms = usual_of(board), window_ms
        self._stuck = candidates(board, self._usual)

    # --- over a restart -------------------------------------------------------------------------------

    def changes(self) -> Changes:
        """What has to be kept since this was asked last, offsets included: all of it, or nothing."""
        self._board.settle()
        return changes_of(self._board, self._progress)

    def put_back(self, kept: Mapping[str, bytes]) -> bool:
        """Begin with what was kept; False if that is good for nothing any more, and the topics are to be read
        from their beginning.
        """
        return put_back(kept, self._board, self._progress)

    # --- views ----------------------------------------------------------------------------------------

    def views(self, *, windows: int = _WINDOWS) -> dict[str, Any]:
        """Everything that is shown, by name, as documents for JSON. ``windows``: so many of the last ones.

        ``as_of`` is the moment up to which the topics are read, None before that is known.
        """
        board, progress = self._board, self._progress
        board.settle()
        behind_ms = self._looked_ms - board.passed_ms
        return {
            "as_of": moment(board.passed_ms),
            "behind_ms": max(0, behind_ms) if board.passed_ms else None,
            "behind_records": progress.behind,
            "partitions": len(progress.followed),
            "instances": {
                "kept": sum(1 for _ in board.standings()),
                "without_a_start": board.without_start,
            },
            "left_out": dict(sorted(board.tally.items())),
            "sagas": saga_view(board),
            "rates": rate_view(board, windows),
            "latencies": latency_view(board, windows),
            "objectives": objective_view(board),
            "stuck": stuck_view(self._stuck, _LISTED),
        }


def _check(objective: Objective, board: Board) -> None:
    definition = board.definitions.get(objective.saga)
    if definition is None:
        raise SettingsError(
            f"An objective is for the saga {objective.saga!r}, which is not observed; observed are "
            f"{', '.join(board.definitions)}."
        )
    if objective.step is not None and objective.step not in definition.by_name:
        raise SettingsError(
            f"An objective is for the step {objective.step!r}, which {objective.saga} has not; it has "
            f"{', '.join(definition.by_name)}."
        )
    if objective.over_ms > board.policy.keep_ms:
        raise SettingsError(
            f"The objective {objective.name!r} looks back over {objective.over}, but windows are kept for "
            f"{board.policy.keep_ms // 1000} s only: keep them for longer, or look back less far."
        )
