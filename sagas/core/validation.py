"""What a definition must satisfy before any saga may run on it.

Owns the checks on the data form, so that a definition from JSON or from a test is judged like one
that was declared. Pure; each problem is a sentence that names saga and step, says what is wrong,
and how to mend it. What only a declaration can get wrong (Python types, names in a class) is
checked there.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from sagas.core.branches import Condition, together
from sagas.core.definition import START, Definition, Join, Role, StepDefinition, StepKind
from sagas.core.events import FRAMEWORK_PUBLISHER
from sagas.core.problems import Problem, coded

__all__ = ["problems", "problems_of"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def problems(definition: Definition) -> list[str]:
    """Everything that is wrong with the definition, in words; nothing if it may run."""
    return [str(problem) for problem in problems_of(definition)]


def problems_of(definition: Definition) -> list[Problem]:
    """Everything that is wrong with the definition; nothing if it may run.

    The relations between steps are looked at only once names and events fit together: on a broken
    graph they mean nothing.
    """
    first = [
        *coded("S0", _shape(definition)),
        *coded("S0", _reserved_names(definition)),
        *coded("S7", _emitted_once(definition)),
        *coded("S0", _cancelled_by(definition)),
        *coded("S5", _waits(definition)),
    ]
    if first:
        return first
    second = [*coded("S3", _triggers(definition)), *coded("S6", _cycles(definition))]
    if second:
        return second
    return [
        *coded("S5", _reached(definition)),
        *coded("S8", _joins(definition)),
        *coded("S1", _pivots(definition)),
        *coded("S1", _kinds(definition)),
        *coded("S12", _reads(definition)),
        *coded("S5", _never_cancelled(definition)),
    ]


# --- shape: names, start, events ------------------------------------------------------------------


def _shape(definition: Definition) -> Iterator[str]:
    saga = definition.saga
    if not _NAME.fullmatch(saga):
        yield (
            f"The saga's name is {saga!r}; it becomes part of topic names: use lower-case words "
            f"joined by hyphens, such as 'order-fulfilment'."
        )
    if not definition.key:
        yield (
            f"{saga}: no key; give the name of the field that holds the business key in its events."
        )
    if definition.deadline_ms is not None and definition.deadline_ms <= 0:
        yield f"{saga}: its deadline is {definition.deadline_ms} ms; give it more than nothing."
    names = Counter(step.name for step in definition.steps)
    if not names[START]:
        yield f"{saga}: no start; declare start = Start(...) with the event that begins the saga."
    elif definition.steps[0].name != START:
        yield f"{saga}: the start is not the first step; put it first."
    yield from (
        f"{saga}.{name}: {count} steps have this name; give each step a name of its own."
        for name, count in names.items()
        if count > 1
    )
    if set(names) == {START}:
        yield f"{saga}: no step besides the start; a saga needs at least one step."
    for step in definition.steps:
        yield from _step_shape(f"{saga}.{step.name}", step)


def _step_shape(where: str, step: StepDefinition) -> Iterator[str]:
    if not step.name:
        yield f"{where}: a step without a name; give it one."
    if not _NAME.fullmatch(step.service):
        yield (
            f"{where}: by={step.service!r} is not the name of a service; use lower-case words "
            f"joined by hyphens, such as 'inventory'."
        )
    if not step.done and not (step.waits and step.otherwise):
        yield f"{where}: no outcome; name the event that says that it is done."
    yield from _time_shape(where, step)
    if step.name == START:
        if step.triggers or step.refused or step.reads or step.pivot or len(step.done) > 1:
            yield (
                f"{where}: a start is one event; it has no trigger, refusal, reads, choice or "
                f"pivot. Move those to a step that it triggers."
            )
    elif not step.triggers:
        yield f"{where}: no trigger; say with on= which event it follows."
    yield from (
        f"{where}: {type_} stands twice in its triggers; name each event once."
        for type_, count in Counter(step.triggers).items()
        if count > 1
    )


def _time_shape(where: str, step: StepDefinition) -> Iterator[str]:
    if step.waits and (step.undone is not None or step.reads):
        yield f"{where}: a wait does nothing itself; it has nothing to undo and reads nothing."
    if step.timeout_ms is not None and step.timeout_ms <= 0:
        yield f"{where}: its timeout is {step.timeout_ms} ms; give it more than nothing."


def _waits(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        where = f"{definition.saga}.{step.name}"
        if step.waits and not step.done and step.timeout_ms is None:
            yield (
                f"{where}: nothing ever ends this wait; give it a timeout=, or say with done= what does."
            )
        if step.waits and step.otherwise is not None and step.timeout_ms is None:
            yield (
                f"{where}: {step.otherwise} can never happen, because this wait has no end; give it a "
                f"timeout=, or leave otherwise= out."
            )


def _reserved_names(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        yield from (
            f"{definition.saga}.{step.name}: its outcome {type_} is named as the framework's own "
            f"events are; name it after the service: {step.service}.Name.v1."
            for type_, _ in step.outcomes
            if type_.partition(".")[0] == FRAMEWORK_PUBLISHER
        )


def _emitted_once(definition: Definition) -> Iterator[str]:
    emitters: dict[str, list[str]] = {}
    for step in definition.steps:
        for type_, role in step.outcomes:
            emitters.setdefault(type_, []).append(f"{step.name} ({role})")
    yield from (
        f"{definition.saga}: {type_} is the outcome of {_and(found)}; an event type is the outcome "
        f"of one step, so that a message says who did what. Declare an event for each."
        for type_, found in emitters.items()
        if len(found) > 1
    )


def _cancelled_by(definition: Definition) -> Iterator[str]:
    type_ = definition.cancelled_by
    if type_ is None:
        return
    if type_.partition(".")[0] == FRAMEWORK_PUBLISHER:
        yield (
            f"{definition.saga}: cancelled_by={type_} is the framework's own, which every saga knows; name "
            "an event of one of your services, or leave it out."
        )
    outcome = definition.outcome_of.get(type_)
    if outcome is not None:
        yield (
            f"{definition.saga}: cancelled_by={type_} is the outcome of {outcome.step} ({outcome.role}); "
            "what asks the saga to turn back is no event of its own. Declare an event for it."
        )


# --- triggers and cycles --------------------------------------------------------------------------


def _triggers(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        for type_ in step.triggers:
            if problem := _not_done(definition, type_):
                yield f"{definition.saga}.{step.name}: its trigger {type_} {problem}"


def _not_done(definition: Definition, type_: str) -> str | None:
    """Why nothing can build on the event: nobody emits it, or it does not say "done"."""
    outcome = definition.outcome_of.get(type_)
    if outcome is None:
        known = [t for t, o in definition.outcome_of.items() if o.role is Role.DONE]
        return f"is emitted by no step of the saga{_nearest(type_, known)}."
    if outcome.role in {Role.DONE, Role.OTHERWISE}:
        return None
    meaning = "refusal" if outcome.role is Role.REFUSED else "undone event"
    return (
        f"is the {meaning} of {outcome.step}: that turns the saga back, and no step goes on from "
        f"it. Use an event that says that a step is done, or an observer."
    )


def _cycles(definition: Definition) -> Iterator[str]:
    reported: set[str] = set()
    for step in definition.steps:
        around = definition.predecessors[step.name]
        if step.name in around and step.name not in reported:
            cycle = [name for name in around if step.name in definition.predecessors[name]]
            reported.update(cycle)
            names = [other.name for other in definition.steps if other.name in cycle]
            yield (
                f"{definition.saga}: {_and(names)} trigger each other in a circle, so none of them "
                f"can begin; let one of them follow an event from outside the circle."
                if len(names) > 1
                else f"{definition.saga}.{step.name}: it is triggered by its own outcome, so it "
                f"can never begin; let it follow another step's event."
            )


# --- joins and branches ---------------------------------------------------------------------------


def _reached(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        never = [type_ for type_ in step.triggers if not definition.branches(type_)]
        if never:
            yield (
                f"{definition.saga}.{step.name}: it can not be reached, because {_and(never)} can "
                f"never happen; mend the steps before it."
            )


def _joins(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        where = f"{definition.saga}.{step.name}"
        branches = {type_: definition.branches(type_) for type_ in step.triggers}
        if not all(branches.values()):
            continue
        if step.join is Join.ANY:
            yield from (
                f"{where}: AnyOf merges exclusive branches, but {left} and {right} can both happen "
                f"in one saga, and the step would run twice. Use AllOf, or a step for each."
                for left, right in itertools.combinations(step.triggers, 2)
                if together(branches[left], branches[right])
            )
        elif not definition.conditions[step.name]:
            yield (
                f"{where}: AllOf waits for {_and(step.triggers)}, but they lie on exclusive "
                f"branches and can never all happen: it would wait for ever. Use AnyOf."
            )


# --- the point of no return -----------------------------------------------------------------------


def _pivots(definition: Definition) -> Iterator[str]:
    for left, right in itertools.combinations(definition.pivots, 2):
        before = (
            (left, right)
            if left.name in definition.predecessors[right.name]
            else (right, left)
            if right.name in definition.predecessors[left.name]
            else None
        )
        if before:
            yield (
                f"{definition.saga}.{before[1].name}: a second pivot behind {before[0].name}; "
                "there is one point of no return on a path. Declare only one of them with "
                "pivot=True."
            )
        elif definition.beside(left.name, right.name):
            yield (
                f"{definition.saga}.{right.name}: a second pivot beside {left.name}; one could be "
                f"refused when the other can no longer be undone. Declare only one of them with "
                f"pivot=True, and join the other before it."
            )


def _kinds(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        where = f"{definition.saga}.{step.name}"
        match definition.kinds[step.name]:
            case StepKind.PIVOT if step.otherwise is not None:
                yield (
                    f"{where}: the saga can not go on without its pivot, but names {step.otherwise}; "
                    f"leave otherwise= out, or let a refusal say no."
                )
            case StepKind.PIVOT if step.undone is not None:
                yield (
                    f"{where}: the pivot is the point of no return, so {step.undone} can never "
                    f"happen; leave undone= out."
                )
            case StepKind.RETRIABLE:
                yield from _past_the_pivot(where, step)
            case StepKind.COMPENSATABLE:
                yield from (
                    f"{where}: it may have to be undone, but runs beside the pivot {pivot.name}: "
                    "when it turns the saga back, it may be too late. Join it before the pivot "
                    f"(on=AllOf(...) there), or let it follow the pivot."
                    for pivot in definition.pivots
                    if definition.beside(step.name, pivot.name)
                )
            case _:
                pass


def _past_the_pivot(where: str, step: StepDefinition) -> Iterator[str]:
    if step.refused:
        yield (
            f"{where}: it stands past the point of no return and may not be refused, but names "
            f"{_and(step.refused)}; leave refused= out, or move the step before the pivot."
        )
    if step.undone is not None and step.otherwise is None:
        yield (
            f"{where}: it stands past the point of no return and is never undone, but names "
            f"{step.undone}; leave undone= out, or move the step before the pivot."
        )


def _never_cancelled(definition: Definition) -> Iterator[str]:
    for pivot in definition.pivots:
        if definition.cancelled_by is not None and set(pivot.triggers) == set(
            definition.start.done
        ):
            yield (
                f"{definition.saga}: cancelled_by={definition.cancelled_by} always comes too late, because "
                f"the start triggers the pivot {pivot.name}; leave it out, or let the pivot come later."
            )


# --- reads ----------------------------------------------------------------------------------------


def _reads(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        for type_ in step.reads:
            where = f"{definition.saga}.{step.name}: it reads {type_}, which"
            if problem := _not_done(definition, type_):
                yield f"{where} {problem}"
            elif not all(
                type_ in _certain(definition, step, condition)
                for condition in definition.conditions[step.name]
            ):
                emitter = definition.outcome_of[type_].step
                yield (
                    f"{where} is not sure to be there when the step runs: {emitter} does not come "
                    "before it on every way. Trigger the step later, or read an event that is "
                    "sure."
                )


def _certain(definition: Definition, step: StepDefinition, condition: Condition) -> set[str]:
    """The events that are there whenever the step is triggered under these choices.

    Of a merge, that is the way that these choices take: its branches exclude each other.
    """
    certain: set[str] = set()
    for type_ in step.triggers:
        if step.join is Join.ALL or together([condition], definition.branches(type_)):
            emitter = definition.by_name[definition.outcome_of[type_].step]
            certain |= {type_, *_certain(definition, emitter, condition)}
    return certain


# --- words ----------------------------------------------------------------------------------------


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _nearest(type_: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(type_, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else "; name an event that a step has as done="
