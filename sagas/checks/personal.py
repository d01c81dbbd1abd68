"""S17: what is personal stays in payloads: out of keys, and so of headers and columns, logs and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagas.checks.finding import Finding, Severity
from sagas.checks.sources import source_of
from sagas.checks.subject import Declared, Subject, place_of
from sagas.core.definition import StepDefinition
from sagas.core.events import Event
from sagas.core.personal import personal_fields
from sagas.service import Service
from sagas.signatures import Handler

__all__ = ["personal_keys", "personal_words"]


def personal_keys(subject: Subject) -> Iterator[Finding]:
    """S17, of keys: each saga once, at the first event of which the key is marked."""
    for saga in subject.sagas:
        key = saga.definition.key
        marked = [one for one in saga.events.values() if key in personal_fields(one)]
        if marked:
            yield Finding(
                "S17",
                Severity.ERROR,
                place_of(marked[0]),
                f"{saga.definition.saga} ({marked[0].__name__})",
                f"its key {key!r} is personal. The key stands in headers, in topics as the partition key, in "
                "columns of journals and the saga table, and in every log line, and is kept there when the "
                "payload is gone.",
                "Take a key that says nothing about a person, such as a number drawn for this purpose.",
            )


def personal_words(subject: Subject) -> Iterator[Finding]:
    """S17, of handlers: personal fields in what they log, or in the errors that they raise."""
    for service in subject.services:
        for handler, given in _handlers(subject, service):
            yield from _told(service, handler, given)


_Given = tuple[tuple[type[Event], ...], ...]
"""For each parameter of a handler the events that may arrive there."""


def _handlers(subject: Subject, service: Service) -> Iterator[tuple[Handler, _Given]]:
    for saga in subject.sagas:
        for step in saga.definition.steps_of.get(service.name, ()):
            key = (saga.definition.saga, step.name)
            triggers = _triggers(saga, step)
            if key in service.performers:
                yield service.performers[key], triggers
            if key in service.undoers:
                yield service.undoers[key], (*triggers, _events(saga, step.done))
    for observer in service.observers:
        yield observer.handler, (tuple(observer.events.values()),)


def _triggers(saga: Declared, step: StepDefinition) -> _Given:
    if step is saga.definition.start:
        return ()
    if step.join == "any":
        return (_events(saga, step.triggers),)
    return tuple(_events(saga, (type_,)) for type_ in step.triggers)


def _events(saga: Declared, types: tuple[str, ...]) -> tuple[type[Event], ...]:
    return tuple(saga.events[type_] for type_ in types if type_ in saga.events)


def _told(service: Service, handler: Handler, given: _Given) -> Iterator[Finding]:
    source = source_of(handler.function)
    if source is None:
        return
    names = [name for name in source.parameters if name != "self"]
    marked: Mapping[str, str] = {
        f"{name}.{field}": f"{event.__name__}.{field}"
        for name, events in zip(names, given, strict=False)
        for event in events
        for field in personal_fields(event)
    }
    for node, where, told in source.told():
        field = next((marked[one] for one in marked if f"{told}.".startswith(f"{one}.")), None)
        if field is not None:
            what = (
                "a log line" if where == "log" else "an error, which is logged and put into headers"
            )
            yield Finding(
                "S17",
                Severity.WARNING,
                source.place(node),
                f"{service.name}: {handler.name}",
                f"{field} is personal, and goes into {what}.",
                "Name the saga id instead, which context.logger has already.",
            )
