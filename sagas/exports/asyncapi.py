"""The project as an AsyncAPI 3.0 document: topics as channels, events as messages, services' operations.

Owns the mapping alone. What a service reads and what wakes it comes from where its worker gets it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sagas.core.events import Event
from sagas.core.framework_events import CONTROL_EVENTS
from sagas.core.saga import Saga
from sagas.exports.contracts import events_of, shared_schemas
from sagas.exports.headers import HEADERS
from sagas.ports import NewTopic
from sagas.runtime.subscription import Subscription
from sagas.service import Service
from sagas.wire.topics import Topics

__all__ = ["asyncapi"]


def asyncapi(
    sagas: Sequence[type[Saga]],
    services: Sequence[Service],
    *,
    topics: Topics,
    wanted: Iterable[NewTopic],
    title: str,
    version: str,
) -> dict[str, Any]:
    """The document. ``wanted`` are the topics of the project with their partitions, as they are created.

    A service that is known by its name only, because it lives elsewhere, has a channel and no operations.
    """
    events = events_of(sagas, services)
    references, schemas = shared_schemas(events, "#/components/schemas/{model}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": version,
            "description": "Sagas by choreography over Kafka: "
            + "; ".join(f"{saga.name} ({saga.definition.fingerprint})" for saga in sagas)
            + ".",
        },
        "defaultContentType": "application/json",
        "channels": _channels(sagas, events, topics, wanted),
        "operations": dict(
            one for service in services for one in _operations(service, topics, events)
        ),
        "components": {
            "messages": {
                type_: _message(type_, event, references[type_], sagas)
                for type_, event in events.items()
            },
            "schemas": schemas | {"Headers": HEADERS},
            "correlationIds": {
                "saga": {
                    "description": "The saga instance, which is the record's key as well.",
                    "location": "$message.header#/ce_sagaid",
                }
            },
        },
    }


def _message(
    type_: str, event: type[Event], reference: Mapping[str, Any], sagas: Iterable[type[Saga]]
) -> dict[str, Any]:
    keys = sorted({saga.definition.key for saga in sagas if type_ in saga.definition.outcome_of})
    described = f"{', '.join(keys)} of the saga" if keys else "the saga id"
    return {
        "name": type_,
        "title": event.__name__,
        **({"description": event.__doc__.strip()} if event.__doc__ else {}),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": dict(reference),
        "correlationId": {"$ref": "#/components/correlationIds/saga"},
        "bindings": {"kafka": {"key": {"type": "string", "description": described}}},
    }


def _channels(
    sagas: Iterable[type[Saga]],
    events: Mapping[str, type[Event]],
    topics: Topics,
    wanted: Iterable[NewTopic],
) -> dict[str, Any]:
    """The topics that events are published to; retry topics and dead letters are a service's own matter."""
    emitted: dict[str, set[str]] = {}
    for saga in sagas:
        for type_ in saga.events:
            emitted.setdefault(_topic(saga, type_, topics), set()).add(type_)
        emitted[topics.control(saga.name)] |= CONTROL_EVENTS.keys()
    known = {type_ for types in emitted.values() for type_ in types} | CONTROL_EVENTS.keys()
    for type_ in events.keys() - known:  # observed, of a saga that is declared elsewhere
        emitted.setdefault(topics.events(events[type_].publisher()), set()).add(type_)
    sizes = {topic.name: topic for topic in wanted}
    return {
        topic: _channel(topic, sorted(emitted[topic]), sizes.get(topic))
        for topic in sorted(emitted)
    }


def _topic(saga: type[Saga], type_: str, topics: Topics) -> str:
    """Where an event of a saga is; one that asks the saga to turn back may be of none."""
    asked = saga.cancelled_by
    if asked is not None and type_ == asked.event_type and type_ not in saga.definition.outcome_of:
        return topics.events(asked.publisher())
    return topics.of(saga.definition, type_)


def _channel(topic: str, types: Iterable[str], size: NewTopic | None) -> dict[str, Any]:
    binding: dict[str, Any] = {"topic": topic}
    if size is not None:
        binding |= {"partitions": size.partitions, "replicas": size.replication_factor}
    return {
        "address": topic,
        "messages": {type_: {"$ref": f"#/components/messages/{type_}"} for type_ in types},
        "bindings": {"kafka": binding},
    }


def _operations(
    service: Service, topics: Topics, events: Mapping[str, type[Event]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    tag = [{"name": service.name}]
    for saga in service.sagas:
        definition = saga.definition
        for step in definition.steps_of.get(service.name, ()):
            forward = [*step.done, *step.refused, *filter(None, [step.otherwise])]
            undo = [] if step.undone is None else [step.undone]
            for verb, types in (("performs", forward), ("undoes", undo)):
                if types:
                    yield (
                        _id(service.name, verb, definition.saga, step.name),
                        {
                            "action": "send",
                            "title": f"{service.name} {verb} {definition.saga}.{step.name}",
                            "tags": tag,
                            **_of(topics.events(service.name), types),
                        },
                    )
    for topic, types in _received(service, topics, events).items():
        yield (
            _id(service.name, "consumes", topic),
            {
                "action": "receive",
                "title": f"{service.name} consumes {topic}",
                "tags": tag,
                "bindings": {
                    "kafka": {"groupId": {"type": "string", "enum": [topics.group(service.name)]}}
                },
                **_of(topic, types),
            },
        )


def _received(
    service: Service, topics: Topics, events: Mapping[str, type[Event]]
) -> dict[str, list[str]]:
    """For each topic that the service reads, what of it concerns the service."""
    read = Subscription(service, topics).topics
    found: dict[str, set[str]] = {topic: set() for topic in sorted(read)}
    for saga in service.sagas:
        wakes = set(saga.definition.wakes.get(service.name, ()))
        wakes |= set() if saga.cancelled_by is None else {saga.cancelled_by.event_type}
        for type_ in wakes:
            found[_topic(saga, type_, topics)].add(type_)
        found[topics.control(saga.name)] |= CONTROL_EVENTS.keys()
    for observer in service.observers:
        for type_ in observer.event_types & events.keys():
            topic = topics.events(events[type_].publisher())
            found.get(topic, set()).add(type_)
    return {topic: sorted(types) for topic, types in found.items() if types}


def _of(topic: str, types: Iterable[str]) -> dict[str, Any]:
    return {
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{type_}"} for type_ in types],
    }


def _id(*parts: str) -> str:
    return ".".join(re.sub(r"[^\w-]", "_", part) for part in parts)
