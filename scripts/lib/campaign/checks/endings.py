"""What was told of the statuses of each saga: no end is left, but for a loss of the table, and then last.

After a loss in the middle of an emission an observer may have been told of an end that the saga then
leaves; it is told of the other by a later event of a higher generation. That is known and accepted, so
it is no finding, but each such saga is listed. Whatever else contradicts itself is a finding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from campaign.records import TERMINAL, Seen

__all__ = ["Told", "endings", "findings", "left", "told_of"]


class Told(NamedTuple):
    """A status, with the stamp of the instance that had it. They sort as they were decided."""

    generation: int
    seq: int
    status: str

    def __str__(self) -> str:
        return f"{self.status} (generation {self.generation}, number {self.seq})"


def told_of(events: Iterable[Seen]) -> dict[str, Sequence[Told]]:
    """All that was told of each saga's status, in the order in which it was decided."""
    told: defaultdict[str, set[Told]] = defaultdict(set)
    for one in events:
        if one.status:
            generation, seq = one.header("ce_sagagen"), one.header("ce_sagaseq")
            told[one.saga_id].add(Told(int(generation or 0), int(seq or 0), one.status))
    return {saga_id: sorted(all_) for saga_id, all_ in sorted(told.items())}


def endings(told: Mapping[str, Sequence[Told]]) -> dict[str, str]:
    """The end of each saga that holds: the one that was decided last."""
    ends = {saga_id: _ends(all_) for saga_id, all_ in told.items()}
    return {saga_id: all_[-1].status for saga_id, all_ in ends.items() if all_}


def findings(told: Mapping[str, Sequence[Told]], *, table_lost: bool) -> Iterator[str]:
    """Ends that were left, though nothing was lost or no later generation says so."""
    for saga_id, end, others in _left(told):
        for other in others:
            if not table_lost or other.generation == end.generation:
                yield f"The saga of {saga_id} was told to have ended {end}, and to be {other}."


def left(told: Mapping[str, Sequence[Told]]) -> list[str]:
    """The ends that were left under a later generation, in words."""
    return [
        f"{saga_id} was told to have ended {end}, then to be {others[0]}; what holds is "
        f"{told[saga_id][-1]}."
        for saga_id, end, others in _left(told)
        if others[-1].generation > end.generation
    ]


def _left(told: Mapping[str, Sequence[Told]]) -> Iterator[tuple[str, Told, Sequence[Told]]]:
    """Each end, with what else was told beside it or after it."""
    for saga_id, all_ in told.items():
        for end in _ends(all_):
            others = [one for one in all_ if one[:2] >= end[:2] and one.status != end.status]
            if others:
                yield saga_id, end, others


def _ends(all_: Sequence[Told]) -> list[Told]:
    return [one for one in all_ if one.status in TERMINAL]
