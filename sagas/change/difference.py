"""What differs between two definitions of a saga, in words.

Owns the comparison of what is declared; what it means for instances that run is ``sagas.change.finishing``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sagas.core.definition import Definition, Join, StepDefinition

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is declared otherwise; ``step`` is None for the saga itself. ``old`` is None for what
    is new, ``new`` for what is gone.
    """

    step: str | None
    what: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        where = "" if self.step is None else f"{self.step}: "
        if self.old is None:
            return f"{where}{self.what} is new: {self.new}"
        if self.new is None:
            return f"{where}{self.what} is gone: {self.old}"
        return f"{where}{self.what} was {self.old}, is {self.new}"


def differences(old: Definition, new: Definition) -> list[Difference]:
    """Everything that differs, the saga's own first, then step by step."""
    return [*_of_saga(old, new), *_of_steps(old, new)]


def _of_saga(old: Definition, new: Definition) -> Iterator[Difference]:
    words: tuple[tuple[str, Callable[[Definition], str | None]], ...] = (
        ("the key", lambda one: one.key),
        ("the deadline", lambda one: _time(one.deadline_ms)),
        ("cancelled_by", lambda one: one.cancelled_by),
        ("the host", lambda one: one.host),
        ("upcasts", lambda one: _set([f"{old} → {now}" for old, now in one.upcasts])),
        ("retired", lambda one: _set(one.retired)),
    )
    for what, tell in words:
        yield from _one(None, what, tell(old), tell(new))


def _of_steps(old: Definition, new: Definition) -> Iterator[Difference]:
    for step in old.steps:
        if step.name not in new.by_name:
            yield Difference(step.name, "the step", f"by {step.service}", None)
        else:
            yield from _of_step(old, new, step.name)
    for step in new.steps:
        if step.name not in old.by_name:
            yield Difference(
                step.name, "the step", None, f"by {step.service}, on {_triggers(step)}"
            )


def _of_step(old: Definition, new: Definition, name: str) -> Iterator[Difference]:
    words: tuple[tuple[str, Callable[[StepDefinition], str | None]], ...] = (
        ("its service", lambda one: one.service),
        ("its trigger", _triggers),
        ("done", lambda one: _set(one.done)),
        ("refused", lambda one: _set(one.refused)),
        ("otherwise", lambda one: one.otherwise),
        ("undone", lambda one: one.undone),
        ("if_undo_fails", lambda one: str(one.if_undo_fails)),
        ("pivot", lambda one: "yes" if one.pivot else "no"),
        ("waits", lambda one: "yes" if one.waits else "no"),
        ("reads", lambda one: _set(one.reads)),
        ("its timeout", lambda one: _time(one.timeout_ms)),
        ("its state", lambda one: one.state),
    )
    before, after = old.by_name[name], new.by_name[name]
    for what, tell in words:
        yield from _one(name, what, tell(before), tell(after))
    kinds = str(old.kinds[name]), str(new.kinds[name])
    if before.pivot == after.pivot:
        yield from _one(name, "its kind", *kinds)


def _one(step: str | None, what: str, old: str | None, new: str | None) -> Iterator[Difference]:
    if old != new:
        yield Difference(step, what, old, new)


def _triggers(step: StepDefinition) -> str | None:
    joined = " or " if step.join is Join.ANY else " and "
    return joined.join(sorted(step.triggers)) or None


def _set(types: Sequence[str]) -> str | None:
    return ", ".join(sorted(types)) or None


def _time(ms: int | None) -> str | None:
    return None if ms is None else f"{ms / 1000:g} s"
