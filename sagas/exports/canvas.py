"""A service on one page, in Markdown: what it consumes and emits, its steps, undos, times and topics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sagas.core.definition import START, Definition, Join, StepDefinition
from sagas.core.retry import Retry
from sagas.core.saga import Saga
from sagas.exports.kafka_access import retry_topics, saga_topics
from sagas.graph.model import span_words
from sagas.runtime.subscription import Subscription
from sagas.service import Service
from sagas.wire.topics import Topics

__all__ = ["canvas"]

_PERFORMS = "Step|Kind|On|Reads|Emits|Or refuses with|Or else|Timeout|Tried"
_UNDOES = "Step|Emits|If that fails"


def canvas(service: Service, topics: Topics, *, purpose: str = "", made_by: str) -> str:
    """The page; ``purpose`` is a sentence about the service, ``made_by`` the command that writes it."""
    sections = {
        "Performs": _table(_PERFORMS, _performed(service)),
        "Undoes": _table(_UNDOES, _undone(service)),
        "Is woken by": [f"- {_names([type_])}" for type_ in _woken(service)],
        "Observes": list(_observed(service)),
        "Topics": list(_topics(service, topics)),
    }
    lines = [f"# {_plain(service.name)}", ""]
    lines += [purpose, ""] if purpose else []
    lines.append(f"Written by `{made_by}`: do not edit.")
    for title, content in sections.items():
        lines += ["", f"## {title}", *(content or ["Nothing."])]
    return "\n".join(lines) + "\n"


def _performed(service: Service) -> Iterator[tuple[str, ...]]:
    for saga, step in _steps(service):
        definition = saga.definition
        kind = "start" if step.name == START else definition.kinds[step.name].value
        yield (
            f"{definition.saga}.{step.name}",
            f"wait, {kind}" if step.waits else kind,
            _on(step),
            *(_names(types) for types in (step.reads, step.done, step.refused)),
            _names(filter(None, [step.otherwise])),
            "" if step.name == START else _timeout(step),
            "" if step.waits or step.name == START else _tried(saga.retries[step.name]),
        )


def _undone(service: Service) -> Iterator[tuple[str, ...]]:
    for saga, step in _steps(service):
        if step.undone is not None:
            named = f"{saga.definition.saga}.{step.name}"
            yield named, _names([step.undone]), _FAILED[step.if_undo_fails.value]


_FAILED = {
    "block": "the saga is parked",
    "continue": "the others are undone; the saga ends FAILED",
    "escalate": "the saga is parked, and somebody is called",
}


def _timeout(step: StepDefinition) -> str:
    return "never" if step.timeout_ms is None else span_words(step.timeout_ms)


def _tried(retry: Retry) -> str:
    if retry.attempts == 1:
        return "once"
    pauses = [retry.delay_s(attempt, 0.5) or 0.0 for attempt in (1, retry.attempts - 1)]
    told = [span_words(round(pause * 1000)) for pause in dict.fromkeys(pauses)]
    return f"{retry.attempts} times, after {' up to '.join(told)}"


def _woken(service: Service) -> list[str]:
    types = {type_ for saga in service.sagas for type_ in _wakes(saga.definition, service)}
    return sorted(types | {s.cancelled_by.event_type for s in service.sagas if s.cancelled_by})


def _wakes(definition: Definition, service: Service) -> Iterable[str]:
    return definition.wakes.get(service.name, ())


def _steps(service: Service) -> Iterator[tuple[type[Saga], StepDefinition]]:
    for saga in service.sagas:
        for step in saga.definition.steps_of.get(service.name, ()):
            yield saga, step


def _observed(service: Service) -> Iterator[str]:
    for one in service.observers:
        told = _names(sorted(one.event_types)) or "the ends of " + _names(sorted(one.ended))
        yield f"- {told}, {_tried(one.retry)}"


def _topics(service: Service, topics: Topics) -> Iterator[str]:
    yield f"- consumes {_names(sorted(Subscription(service, topics).topics))}"
    yield f"- as the consumer group {_names([topics.group(service.name)])}"
    yield f"- emits to {_names([topics.events(service.name)])}"
    if service.sagas:
        controls = {topics.control(saga.definition.saga) for saga in service.sagas}
        shared = {topic for saga in service.sagas for topic in saga_topics(saga, topics)}
        others = shared - controls - {topics.events(service.name)}
        yield f"- publishes timers, and what they decide, to {_names(sorted(controls))}"
        if others:
            yield f"- and what is decided for others that are down to {_names(sorted(others))}"
        yield f"- lets messages wait in {_names(retry_topics(service, topics))}"
    yield f"- puts what it can not handle into {_names([topics.dead_letters(service.name)])}"


def _on(step: StepDefinition) -> str:
    return f" {'and' if step.join is Join.ALL else 'or'} ".join(_names([t]) for t in step.triggers)


def _names(types: Iterable[str]) -> str:
    return ", ".join(f"`{_plain(type_)}`" for type_ in types)


def _plain(text: str) -> str:
    """Text that ends no cell of a table, and no code."""
    return text.replace("|", "\\|").replace("`", "'").replace("\n", " ")


def _table(headings: str, rows: Iterable[tuple[str, ...]]) -> list[str]:
    found = [f"| {' | '.join(row)} |" for row in rows]
    return found and [f"|{headings}|", "|---" * (headings.count("|") + 1) + "|", *found]
