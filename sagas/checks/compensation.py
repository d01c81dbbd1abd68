"""S2: an undo needs nothing that it does not get. S10: an action that comes after its undo is refused."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.checks.finding import Finding, Severity
from sagas.checks.sources import source_of
from sagas.checks.subject import Declared, Subject
from sagas.core.definition import StepDefinition, StepKind
from sagas.service import Service
from sagas.signatures import Handler

__all__ = ["reading", "tombstones"]


def reading(subject: Subject) -> Iterator[Finding]:
    """S2 of an undo, and S12 of an action, that asks for an event which it is not given."""
    for service in subject.services:
        for saga in subject.sagas:
            for step in saga.definition.steps_of.get(service.name, ()):
                key = (saga.definition.saga, step.name)
                yield from _reading(saga, step, service.undoers.get(key), undoes=True)
                yield from _reading(saga, step, service.performers.get(key), undoes=False)


def _reading(
    saga: Declared, step: StepDefinition, handler: Handler | None, *, undoes: bool
) -> Iterator[Finding]:
    source = None if handler is None else source_of(handler.function)
    if source is None:
        return
    for node, event in source.reads():
        if event.event_type in step.reads:
            continue
        outcome = saga.definition.outcome_of.get(event.event_type)
        later = outcome is not None and step.name in saga.definition.predecessors[outcome.step]
        why = f"comes later than {step.name}" if later else "the step does not declare"
        mend = (
            "Take what the undo needs from its trigger, its outcome or context.because."
            if later
            else f"Add reads={event.__name__} to the step."
        )
        yield Finding(
            "S2" if undoes else "S12",
            Severity.ERROR,
            source.place(node),
            f"{saga.definition.saga}.{step.name}",
            f"its {'undo' if undoes else 'handler'} reads {event.__name__}, which {why}.",
            mend,
        )


def tombstones(subject: Subject) -> Iterator[Finding]:
    """S10: of each service, its steps whose undo may overtake the action."""
    for service in subject.services:
        if service.tombstones:
            continue
        for saga in subject.sagas:
            steps = [
                step.name
                for step in saga.definition.steps_of.get(service.name, ())
                if _may_be_overtaken(saga, step)
            ]
            if steps:
                yield _unsaid(saga, service, steps)


def _may_be_overtaken(saga: Declared, step: StepDefinition) -> bool:
    """Whether the saga may turn back, or go on, while the action is still under way."""
    definition = saga.definition
    if step is definition.start or step.undone is None:
        return False
    if step.timeout_ms is not None or step.otherwise is not None:
        return True
    if definition.kinds[step.name] is not StepKind.COMPENSATABLE:
        return False
    turned_from_outside = definition.deadline_ms is not None or definition.cancelled_by is not None
    return turned_from_outside or any(
        definition.beside(step.name, other.name)
        for other in definition.steps
        if other is not definition.start
    )


def _unsaid(saga: Declared, service: Service, steps: list[str]) -> Finding:
    return saga.finding(
        "S10",
        Severity.HINT,
        steps[0],
        f"the undo of {', '.join(steps)} may come before the action has ended, and nothing says that "
        f"{service.name} refuses an action that comes after its undo.",
        f"Give {service.name} a journal, or have its handlers keep a note of what was undone, and say so: "
        f'Service("{service.name}", tombstones=True).',
    )
