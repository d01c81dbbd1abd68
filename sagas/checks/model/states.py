"""What a state is, and a move from one to another, told in words."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Move", "State"]


class State(NamedTuple):
    """Everything that matters of a world, in small numbers.

    ``sent`` are deliveries; ``running`` are handlings, each with whether the row has changed since it knew
    it; ``memory`` has a set of messages for each service. ``faults`` are those that may still happen, as
    bits, and ``at_once`` how many of them. ``answered`` are the waits that have had their answer, as bits.
    """

    row: int
    sent: tuple[int, ...]
    running: tuple[tuple[int, bool], ...]
    stores: int
    log: int
    memory: tuple[int, ...]
    faults: int
    at_once: int
    answered: int
    repairs: int


class Move(NamedTuple):
    """What happened: in a line, and call by call. ``service`` is whose worker moved, if it was one.

    ``passed`` are deliveries that were handled before, and nothing came of them.
    """

    words: str
    service: str | None
    calls: tuple[str, ...]
    violations: tuple[str, ...] = ()
    passed: tuple[int, ...] = ()

    def __str__(self) -> str:
        """The move in one line; no two moves of a state have the same."""
        return "; ".join((self.words, *self.calls))
