"""How long steps usually take, measured at instances that are at hand.

Owns the arithmetic. Nothing is counted while sagas run: the times are those of recorded events, which the
table keeps anyway, and whoever asks brings a sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sagas.core.definition import START, Direction, Role
from sagas.core.instance import Instance
from sagas.operating.explaining.awaited import triggered_ms, undoable_ms
from sagas.operating.explaining.surroundings import Usual

__all__ = ["SAMPLES_MIN", "usual_of"]

SAMPLES_MIN = 3
"""Fewer say nothing about what is usual."""


def usual_of(sample: Iterable[Instance]) -> Mapping[tuple[str, Direction], Usual]:
    """What is usual, by step and direction; nothing of a step that fewer than three have taken."""
    found: dict[tuple[str, Direction], list[int]] = {}
    for instance in sample:
        for step, direction, ms in _spans(instance):
            found.setdefault((step, direction), []).append(ms)
    return {key: _usual(spans) for key, spans in found.items() if len(spans) >= SAMPLES_MIN}


def _spans(instance: Instance) -> Iterator[tuple[str, Direction, int]]:
    """Of an instance that somebody had to help the times say nothing."""
    if any(fact.role is Role.PARKED for fact in instance.facts.values()):
        return
    for fact in instance.facts.values():
        step = instance.definition.by_name[fact.step]
        if fact.epoch or (step.name == START and fact.role is Role.DONE):
            continue
        if fact.role in {Role.DONE, Role.REFUSED} and instance.triggered(step):
            yield step.name, Direction.FORWARD, max(0, fact.at_ms - triggered_ms(instance, step))
        elif fact.role is Role.UNDONE and (since_ms := undoable_ms(instance, step, 0)):
            yield step.name, Direction.UNDO, max(0, fact.at_ms - since_ms)


def _usual(spans: list[int]) -> Usual:
    ordered, count = sorted(spans), len(spans)
    most = -(-count * 19 // 20)
    return Usual(half_ms=ordered[(count - 1) // 2], most_ms=ordered[most - 1], samples=count)
