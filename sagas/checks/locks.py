"""S14: a semantic lock that is taken is given back on every way, and locks are taken in one order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sagas.checks.finding import Finding, Severity
from sagas.checks.locksets import may_hold, takers
from sagas.checks.subject import Declared, Subject
from sagas.checks.ways import done_under, uncovered
from sagas.checks.words import way_words
from sagas.core.data import Locks, Unlocks
from sagas.core.definition import StepDefinition, StepKind

__all__ = ["lock_order", "locks"]


def locks(subject: Subject) -> Iterator[Finding]:
    """S14, of each saga: kept on the way forward, kept on the way back, given back without being taken."""
    for saga in subject.sagas:
        for lock in _names(saga):
            for step in takers(saga, lock):
                yield from _kept_forward(saga, lock, step)
                yield from _kept_turning_back(saga, lock, step)
            for step in takers(saga, lock, Unlocks):
                yield from _never_taken(saga, lock, step)


def _names(saga: Declared) -> list[str]:
    said = [one for data in saga.data.values() for one in data if isinstance(one, Locks | Unlocks)]
    return list(dict.fromkeys(name for one in said for name in one.names))


def _kept_forward(saga: Declared, lock: str, step: StepDefinition) -> Iterator[Finding]:
    definition = saga.definition
    back = [
        one
        for one in takers(saga, lock, Unlocks)
        if one is step or step.name in definition.predecessors[one.name]
    ]
    given = [condition for one in back for condition in done_under(definition, one)]
    for condition in sorted(done_under(definition, step), key=sorted):
        way = uncovered(definition, condition, given)
        if way is not None:
            words = way_words(way - condition)
            yield saga.finding(
                "S14",
                Severity.ERROR,
                step.name,
                f"it takes the lock {lock!r}, which nothing gives back{f' {words}' if words else ''}: "
                "whoever else wants it is refused for ever.",
                f"Have the last step that needs it give it back, data=Unlocks({lock!r})"
                f"{', also on that way' if words else ''}.",
            )
            return


def _kept_turning_back(saga: Declared, lock: str, step: StepDefinition) -> Iterator[Finding]:
    if saga.definition.kinds[step.name] is StepKind.COMPENSATABLE and step.undone is None:
        yield saga.finding(
            "S14",
            Severity.ERROR,
            step.name,
            f"it takes the lock {lock!r}, and nothing gives it back when the saga turns back: the step has "
            "no undo.",
            "Name the event of its compensation with undone=, and give the lock back there.",
        )


def _never_taken(saga: Declared, lock: str, step: StepDefinition) -> Iterator[Finding]:
    before = saga.definition.predecessors[step.name] | {step.name}
    if not any(one.name in before for one in takers(saga, lock)):
        yield saga.finding(
            "S14",
            Severity.WARNING,
            step.name,
            f"it gives back the lock {lock!r}, which no step before it has taken.",
            f"Have the step that takes it say so, data=Locks({lock!r}), or correct the name.",
        )


@dataclass(frozen=True, slots=True)
class _Taking:
    """Somewhere a lock is wanted while another one is held."""

    saga: Declared
    step: StepDefinition
    held: str
    wanted: str


def lock_order(subject: Subject) -> Iterator[Finding]:
    """S14, over all sagas: locks that are wanted in a circle, each side holding what the other one wants."""
    takings = [taking for saga in subject.sagas for taking in _takings(saga)]
    edges: dict[str, list[_Taking]] = {}
    for taking in takings:
        edges.setdefault(taking.held, []).append(taking)
    reported: set[frozenset[str]] = set()
    for taking in takings:
        path = _path(edges, taking.wanted, taking.held)
        if path is None:
            continue
        circle = frozenset({taking.wanted, *(one.wanted for one in path)})
        if circle not in reported:
            reported.add(circle)
            yield _circle(taking, path)


def _takings(saga: Declared) -> Iterator[_Taking]:
    for step in saga.definition.steps:
        wanted = [
            name
            for one in saga.data.get(step.name, ())
            if isinstance(one, Locks)
            for name in one.names
        ]
        for lock in wanted:
            yield from (_Taking(saga, step, held, lock) for held in sorted(may_hold(saga, step)))


def _path(edges: Mapping[str, list[_Taking]], start: str, end: str) -> list[_Taking] | None:
    """How one comes from a lock that is held to another one, breadth first."""
    ways: list[tuple[str, list[_Taking]]] = [(start, [])]
    seen = {start}
    while ways:
        at, path = ways.pop(0)
        if at == end:
            return path
        for taking in edges.get(at, ()):
            if taking.wanted not in seen:
                seen.add(taking.wanted)
                ways.append((taking.wanted, [*path, taking]))
    return None


def _circle(first: _Taking, path: list[_Taking]) -> Finding:
    def words(one: _Taking) -> str:
        name = f"{one.saga.definition.saga}.{one.step.name}"
        return f"{name} wants {one.wanted!r} while it holds {one.held!r}"

    others = [one for one in path if one is not first]
    reason = (
        "; ".join(map(words, [first, *others])) + ": each can hold what the other one wants."
        if others
        else f"it wants {first.wanted!r}, which it holds already."
    )
    return first.saga.finding(
        "S14",
        Severity.WARNING,
        first.step.name,
        reason,
        "Take locks in the same order everywhere, or give the first one back before the second is taken.",
    )
