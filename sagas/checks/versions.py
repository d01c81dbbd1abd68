"""S16: a definition can finish what instances of the deployed one have begun.

Pure: two definitions in, findings out. An instance may have recorded any events that the old definition
allows, and goes on under the new one; messages that have been handled do not come again.
"""

from __future__ import annotations

from collections.abc import Iterator

from sagas.checks.finding import Finding, Severity
from sagas.checks.subject import Declared, Subject
from sagas.checks.words import short
from sagas.core.changes import as_read_by, is_retired
from sagas.core.definition import Definition, Join, StepDefinition, StepKind

__all__ = ["finishable"]

_CHOICES = (
    "Keep both: give this one another name, such as name = 'order-fulfilment-2', and stop starting the old "
    "one; or wait until no instance of the old one is left."
)


def finishable(subject: Subject) -> Iterator[Finding]:
    """S16, of each saga that is deployed under another fingerprint."""
    for deployed in subject.deployed:
        for saga in subject.sagas:
            old, new = deployed.definition, saga.definition
            if old.saga == new.saga and old.fingerprint != new.fingerprint:
                yield from _changes(saga, old)


def _changes(saga: Declared, deployed: Definition) -> Iterator[Finding]:
    new = saga.definition
    yield from _formers(saga, deployed)
    old = as_read_by(new, deployed)
    if old.key != new.key:
        yield _error(
            saga, None, f"its key was {old.key!r}, and recorded events have no {new.key!r}."
        )
    for step in old.steps:
        if step.name not in new.by_name and is_retired(step, new):
            yield _error(
                saga,
                None,
                f"the step {step.name} is gone: what it has recorded is retired, but a saga that waits for "
                "it does not go on by itself. Stop the old version, and run `sagas migrate`.",
            )
        elif step.name not in new.by_name:
            yield _error(
                saga,
                None,
                f"the step {step.name} is gone: what it has recorded means nothing any more, and its effect "
                "is never undone.",
            )
        else:
            yield from _changes_of(saga, old, step, new.by_name[step.name])
    for step in new.steps:
        if step.name not in old.by_name:
            yield from _new_step(saga, old, step)
    yield from _kinds(saga, old)


def _formers(saga: Declared, deployed: Definition) -> Iterator[Finding]:
    """What the deployed version makes of former versions, this one has to make of them, too."""
    new = saga.definition
    for former, current in deployed.upcasts:
        if former not in new.current_of and former not in new.outcome_of:
            yield _error(
                saga,
                None,
                f"the deployed version makes {current} of {former}, which may be recorded, and this one "
                "makes nothing of it.",
            )


def _changes_of(
    saga: Declared, deployed: Definition, old: StepDefinition, new: StepDefinition
) -> Iterator[Finding]:
    kept = {type_ for type_, _ in new.outcomes}
    gone = [type_ for type_, _ in old.outcomes if type_ not in kept]
    if gone:
        names = ", ".join(map(short, gone))
        yield _error(
            saga,
            new.name,
            f"it knows {names} no more, which an instance may have recorded or wait for.",
        )
    if old.service != new.service:
        yield _error(
            saga,
            new.name,
            f"it was performed by {old.service}, and {new.service} knows nothing of what was done there.",
        )
    if old.waits is not new.waits:
        was, now = ("a wait", "a step") if old.waits else ("a step", "a wait")
        yield _error(
            saga,
            new.name,
            f"it was {was} and is {now}: what was begun the one way is not ended the other.",
        )
    if old.undone is None and new.undone is not None:
        yield _error(
            saga,
            new.name,
            "it had nothing to undo, and now has: an instance on its way back may wait for that, and nothing "
            "is sure to wake it.",
        )
    if not _follows_no_less(deployed, old, new):
        yield _error(
            saga,
            new.name,
            f"it followed {_named(old)} and now follows {_named(new)}: where it has run already, the saga "
            "waits for the new trigger; where that has happened already, nothing is sure to wake it.",
        )


def _follows_no_less(deployed: Definition, old: StepDefinition, new: StepDefinition) -> bool:
    """Whether it follows the same events, or besides only such as no old instance can have recorded."""
    if (set(old.triggers), old.join) == (set(new.triggers), new.join):
        return True
    if new.join is not Join.ANY or (old.join is Join.ALL and len(old.triggers) > 1):
        return False
    more = set(new.triggers) - set(old.triggers)
    return set(old.triggers) <= set(new.triggers) and not any(
        t in deployed.outcome_of for t in more
    )


def _ended(old: Definition, type_: str) -> bool:
    """Whether an instance that has recorded this has ended by it, so that nothing can still wait."""
    last = old.outcome_of[type_].step
    if any(type_ in step.triggers or (step.otherwise and step.undone) for step in old.steps):
        return False
    before = old.predecessors[last] | {last}
    return all(step.name in before or old.exclusive(step.name, last) for step in old.steps)


def _new_step(saga: Declared, old: Definition, step: StepDefinition) -> Iterator[Finding]:
    """A join needs a mark on each of its inputs that only a version leaves which knows the join (rule 4)."""
    known = [t for t in step.triggers if t in old.outcome_of and not _ended(old, t)]
    if known:
        yield _error(
            saga,
            step.name,
            f"it is new, and follows {' and '.join(map(short, known))}: an instance in which that has "
            "happened already waits for it, and nothing is sure to wake it.",
        )


def _kinds(saga: Declared, old: Definition) -> Iterator[Finding]:
    new = saga.definition
    for name in old.kinds.keys() & new.kinds.keys():
        before, after = old.kinds[name], new.kinds[name]
        if before is not after and StepKind.PIVOT in {before, after}:
            yield _error(
                saga,
                name,
                f"it was {_kind(before)} and is {_kind(after)}: an instance between the two points of no "
                "return could be turned back by one version and not by the other.",
            )


def _error(saga: Declared, step: str | None, reason: str) -> Finding:
    return saga.finding("S16", Severity.ERROR, step, reason, _CHOICES)


def _kind(kind: StepKind) -> str:
    return "the pivot" if kind is StepKind.PIVOT else str(kind)


def _named(step: StepDefinition) -> str:
    return " and ".join(map(short, step.triggers))
