"""S3: each event has a consumer, or is meant to be an end. S4: each outcome leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.checks.finding import Finding, Severity
from sagas.checks.subject import Declared, Subject, place_of
from sagas.checks.ways import ways_of
from sagas.checks.words import either, short
from sagas.core.definition import START, StepDefinition, StepKind
from sagas.core.events import FRAMEWORK_PUBLISHER
from sagas.service import Service
from sagas.signatures import Handler, returned_types

__all__ = ["bounds", "consumers", "producers", "silent_handlers", "starts"]


def consumers(subject: Subject) -> Iterator[Finding]:
    """S3, of what is emitted, and S4 where one way out of a step is forgotten."""
    observed = {type_ for service in subject.services for type_ in _observed(service)}
    here = {service.name for service in subject.services}
    for saga in subject.sagas:
        known = here >= set(saga.definition.services)
        yield from _marked_and_followed(saga)
        idle: list[str] = []
        for step in saga.definition.steps:
            dead = [type_ for type_ in ways_of(step) if not _leads_on(saga, type_)]
            ends = [t for t in dead if t not in saga.ends_with | saga.for_outsiders | observed]
            if ends and len(dead) < len(ways_of(step)):
                yield from _forgotten(saga, step, ends)
            else:
                idle += ends
        if idle:
            yield _without_consumer(saga, idle, observers=known)


def _leads_on(saga: Declared, type_: str) -> bool:
    return any(type_ in step.triggers for step in saga.definition.steps)


def _observed(service: Service) -> Iterator[str]:
    for observer in service.observers:
        yield from observer.event_types


def _forgotten(saga: Declared, step: StepDefinition, ends: list[str]) -> Iterator[Finding]:
    on = next(type_ for type_ in ways_of(step) if _leads_on(saga, type_))
    for type_ in ends:
        yield saga.finding(
            "S4",
            Severity.WARNING,
            step.name,
            f"after {short(on)} the saga goes on, but after {short(type_)} nothing follows: it then "
            "counts as completed.",
            f"Let a step follow {short(type_)}, merge it with on=AnyOf({short(on)}, {short(type_)}), or "
            f"say that it is an end: ends_with = {short(type_)}.",
        )


def _without_consumer(saga: Declared, idle: list[str], *, observers: bool) -> Finding:
    names = ", ".join(map(short, idle))
    says = observers and bool(saga.ends_with or saga.for_outsiders)
    step = saga.definition.outcome_of[idle[0]].step if says else None
    pair, them = (f"({names})", "them") if len(idle) > 1 else (names, "it")
    return saga.finding(
        "S3",
        Severity.WARNING if says else Severity.HINT,
        step,
        f"nothing follows {names}{', and no service here observes ' + them if observers else ''}.",
        f"If that is how the saga ends, say so: ends_with = {pair}. If others wait for it, for_outsiders = "
        f"{pair}. Else let a step, or an observer, follow.",
    )


def _marked_and_followed(saga: Declared) -> Iterator[Finding]:
    for type_ in sorted(saga.ends_with):
        followers = [step.name for step in saga.definition.steps if type_ in step.triggers]
        if followers:
            yield saga.finding(
                "S3",
                Severity.WARNING,
                saga.definition.outcome_of[type_].step,
                f"ends_with names {short(type_)}, but {', '.join(followers)} follows it.",
                f"Leave {short(type_)} out of ends_with, or the step out of the saga.",
            )


def producers(subject: Subject) -> Iterator[Finding]:
    """S3, of what is observed: an event of a service that is here, and that no saga here emits."""
    emitted = {type_ for saga in subject.sagas for type_ in saga.events}
    here = {service.name for service in subject.services}
    for service in subject.services:
        for observer in service.observers:
            for type_ in sorted(observer.event_types - emitted):
                publisher = type_.partition(".")[0]
                if publisher in here and publisher != FRAMEWORK_PUBLISHER:
                    yield Finding(
                        "S3",
                        Severity.WARNING,
                        place_of(observer.handler.function),
                        observer.handler.name,
                        f"it observes {type_}, which no saga of this project emits.",
                        "Name an event that a step emits, or remove the observer.",
                    )


def starts(subject: Subject) -> Iterator[Finding]:
    """S3, of a start that another saga emits: the event belongs to that saga, and nobody starts this one."""
    for saga in subject.sagas:
        type_ = saga.definition.start.done[0]
        for other in subject.sagas:
            outcome = other.definition.outcome_of.get(type_)
            if outcome is None or other is saga or outcome.step == START:
                continue
            emitter = f"{other.definition.saga}.{outcome.step}"
            yield saga.finding(
                "S3",
                Severity.WARNING,
                START,
                f"{short(type_)} is an outcome of {emitter}: what is emitted there belongs to that saga, and "
                "starts no other one.",
                f"Start this saga by an event of its own: let an observer of {short(type_)} start it through "
                "the client.",
            )


def bounds(subject: Subject) -> Iterator[Finding]:
    """S4, of the answer that never comes."""
    for saga in subject.sagas:
        definition = saga.definition
        open_steps = []
        for step in definition.steps[1:]:
            kind = definition.kinds[step.name]
            bounded = definition.deadline_ms is not None and kind is StepKind.COMPENSATABLE
            if step.timeout_ms is not None or bounded:
                continue
            if step.waits:
                yield _endless_wait(saga, step)
            elif kind is not StepKind.RETRIABLE:
                open_steps.append(step.name)
        if open_steps:
            yield saga.finding(
                "S4",
                Severity.HINT,
                None,
                f"if a participant never answers, nothing ends {', '.join(open_steps)}: "
                f"{'they have' if len(open_steps) > 1 else 'it has'} no timeout, and no deadline applies.",
                "Give the saga a step_timeout = seconds(30), or a deadline = hours(2).",
            )


def _endless_wait(saga: Declared, step: StepDefinition) -> Finding:
    before = saga.definition.kinds[step.name] is StepKind.COMPENSATABLE
    deadline = " (or the saga a deadline)" if before else ""
    return saga.finding(
        "S4",
        Severity.WARNING,
        step.name,
        f"it waits for {either((*step.done, *step.refused))}, and nobody owes that answer: "
        "if it never comes, the saga never ends.",
        f"Give the wait a timeout={deadline}, and say with otherwise= how the saga goes on then.",
    )


def silent_handlers(subject: Subject) -> Iterator[Finding]:
    """S4, of an outcome that is declared and never given: a refusal, say, that is logged instead."""
    for service in subject.services:
        for saga in subject.sagas:
            for step in saga.definition.steps_of.get(service.name, ()):
                handler = service.performers.get((saga.definition.saga, step.name))
                if handler is not None:
                    yield from _never_given(saga, step, handler)


def _never_given(saga: Declared, step: StepDefinition, handler: Handler) -> Iterator[Finding]:
    given = returned_types(handler)
    if given is None:
        return
    for type_ in (*step.done, *step.refused):
        event = saga.events.get(type_)
        if event is not None and not any(issubclass(event, one) for one in given):
            yield Finding(
                "S4",
                Severity.WARNING,
                place_of(handler.function),
                f"{saga.definition.saga}.{step.name}",
                f"the saga waits for {short(type_)} as well, but {handler.name} never returns it: what it "
                "stands for reaches nobody.",
                f"Return {short(type_)} where that is the answer, or take it out of the declaration.",
            )
